// What becomes of an answer of the engine: bus messages, the metadata on a buffer, and counts.
//
// Thread safety: Publish(), EndActive() and last() belong to one thread at a time, the src pad's
// task or one that has stopped it; any thread may call the others. Posts without a lock held.
#pragma once

#include <gst/gst.h>

#include <atomic>
#include <vector>

#include "plugin/elements/cliptag/output/active_tags.h"
#include "plugin/elements/cliptag/output/live_tags.h"
#include "plugin/elements/cliptag/output/unread_messages.h"
#include "plugin/elements/metrics/tag_counts.h"
#include "plugin/engine/recent_values.h"
#include "plugin/gst/gst_ptr.h"

namespace cliptag {

class Publisher {
 public:
  struct Options {
    bool post_messages = true, attach_embedding = false;
  };

  explicit Publisher(GstElement* element) : element_(element) {}

  void Start();  // counts and warnings start again
  // Posts an answer and counts it; false if there are no tags to attach. `age`: how much older its
  // frame is than the newest one.
  bool Publish(const AnswerPtr& answer, guint64 age, const Options& options);
  BufferPtr Attach(BufferPtr buffer, const Answer& answer, guint64 age, const Options& options);
  // At the end of a stream, a flush or a stop: every start that was posted gets its end.
  void EndActive(const Options& options);
  // Takes the structure. Drops it while nobody reads the bus.
  void Post(GstStructure* structure);
  void ForgetTags() { tag_counts_.Forget(); }  // the prompts are others

  const AnswerPtr& last() const { return last_; }  // as Publish()
  // Counts since the start.
  guint64 frames_tagged() const { return frames_tagged_; }
  guint64 skipped_still() const { return skipped_still_; }
  guint64 messages_dropped() const { return messages_dropped_; }
  const RecentValues& ages() const { return ages_; }  // ns, of the tags on frames
  std::vector<TagCount> tags() const { return tag_counts_.All(); }

 private:
  GstElement* const element_;
  ActiveTags active_;
  AnswerPtr last_;
  bool warned_ = false;
  TagCounts tag_counts_;
  RecentValues ages_;
  UnreadMessages unread_;
  std::atomic<guint64> frames_tagged_{0}, skipped_still_{0}, messages_dropped_{0};
};

}  // namespace cliptag
