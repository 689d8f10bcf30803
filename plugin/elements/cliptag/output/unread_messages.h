// How many of an element's messages wait on the bus: without a reader it keeps them all.
//
// A bus does not say whether it has a reader, nor how much it holds. But it is a queue, whose head
// can be seen: of our messages those wait that are not older than a head that is an
// element's message, and those that were posted while another head has stood. A message that was
// read and is still held somewhere is not counted, nor one that a sync handler dropped.
//
// Thread safety: any thread; takes its own lock and the bus's for moments.
#pragma once

#include <gst/gst.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>

namespace cliptag {

class UnreadMessages {
 public:
  // Fewer than `most` wait; `most` up to kMostKnown.
  bool HasRoom(GstElement* element, size_t most);
  void Posted(GstMessage* message);  // to be called before it is posted
  void Clear();

  static constexpr size_t kMostKnown = 4000;

 private:
  std::mutex mutex_;
  // All guarded by mutex_.
  std::deque<guint32> posted_;  // sequence numbers of the last kMostKnown
  uint64_t posted_count_ = 0;
  const GstMessage* head_ = nullptr;  // that is no element's: compared, never followed
  guint32 head_number_ = 0;
  uint64_t posted_at_head_ = 0;  // when it was first seen
};

}  // namespace cliptag
