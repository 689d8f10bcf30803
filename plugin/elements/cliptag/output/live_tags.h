// What has come back from the engine for a stream whose frames do not wait: answers that have not
// been posted yet, and the newest one, whose tags go out with every frame.
//
// Thread safety: every method may be called from any thread.
#pragma once

#include <gst/gst.h>

#include <deque>
#include <memory>
#include <mutex>
#include <vector>

#include "plugin/elements/meta/meta.h"
#include "plugin/engine/engine.h"

namespace cliptag {

// An answer with what is known of its frame.
struct Answer {
  InferenceResult result;
  ResultContext context;  // without its age
  guint64 time = 0;       // in the stream, as StreamClock counts it

  guint64 AgeAt(guint64 now) const { return now > time ? now - time : 0; }
  // A still frame has the tags of the one before it.
  void StandOn(const Answer& before) {
    result.frame_number = before.result.frame_number;
    context = before.context;
    time = before.time;
  }
};
using AnswerPtr = std::shared_ptr<const Answer>;

class LiveTags {
 public:
  // A frame goes to the engine; returns the era that Arrived() wants back.
  unsigned Begin();
  void Arrived(unsigned era, std::shared_ptr<Answer> answer);
  // Answers to post, in order. Those of an era before the last Forget() are never the newest.
  std::vector<AnswerPtr> Take();
  AnswerPtr newest() const;
  bool awaits_any() const;
  // Awaits any, or has some to post.
  bool is_busy() const;
  // The newest tags are of another stream or place: they go out no more.
  void Forget();
  // After a flush: what has not been posted is dropped, too.
  void Drop();

 private:
  mutable std::mutex mutex_;
  unsigned era_ = 0;
  int awaited_ = 0;
  std::deque<AnswerPtr> unposted_;
  AnswerPtr newest_;
};

}  // namespace cliptag
