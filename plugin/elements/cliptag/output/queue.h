// The way out of `cliptag`: a bounded queue in which buffers wait for their tags, and events behind
// them for their turn, so that everything leaves in the order in which it came.
//
// Ownership: an Item owns its buffer or event. A HeldFrame is shared between its item and the
// engine's request; the last one unmaps and unrefs the buffer.
// Thread safety: every method may be called from any thread. In use, one thread adds (the sink
// pad's), one takes (the src pad's task), engine workers complete, any thread flushes.
#pragma once

#include <gst/gst.h>
#include <gst/video/video.h>

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "plugin/engine/engine.h"
#include "plugin/gst/gst_ptr.h"

namespace cliptag {

// A frame that has been handed to the engine: mapped without a reference, so that its buffer stays
// writable, and unmapped as soon as the engine has answered.
class HeldFrame {
 public:
  HeldFrame() = default;
  ~HeldFrame() { Unmap(); }
  HeldFrame(const HeldFrame&) = delete;
  HeldFrame& operator=(const HeldFrame&) = delete;

  // Takes the buffer in any case; false if it cannot be mapped as such a frame.
  bool Map(BufferPtr buffer, const GstVideoInfo& info, GstMapFlags flags = GST_MAP_READ);
  // Takes the buffer as it is.
  void Hold(BufferPtr buffer) { buffer_ = std::move(buffer); }
  void Unmap();

  const GstVideoFrame& frame() const { return frame_; }
  GstBuffer* buffer() const { return buffer_.get(); }
  BufferPtr TakeBuffer() {
    Unmap();
    return std::move(buffer_);
  }

  FrameView view;
  guint64 stream_time = GST_CLOCK_TIME_NONE;
  guint64 time = 0;        // in the stream, as StreamClock counts it
  bool still = false;      // nothing to be seen that was not there before
  InferenceResult result;  // valid once done

 private:
  friend class OutputQueue;
  BufferPtr buffer_;
  GstVideoFrame frame_{};
  bool mapped_ = false;
  bool done_ = false;  // guarded by the queue's mutex
};

struct Item {
  BufferPtr buffer;                 // a frame that needs no inference
  std::shared_ptr<HeldFrame> held;  // or one that does
  EventPtr event;                   // or an event
  bool answers = false;             // or a hint that answers have come (LiveTags::Take)

  bool is_frame() const { return buffer != nullptr || held != nullptr; }
};

class OutputQueue {
 public:
  // --- the side that adds
  // Blocks while `bound` frames or more are held. `when_full` runs once, unlocked, before it
  // blocks. Anything but GST_FLOW_OK: nothing may be added.
  GstFlowReturn WaitForRoom(size_t bound, const std::function<void()>& when_full);
  // False, and the item is dropped, unless flow() is OK. Events are kept after an error, too: they
  // leave when pushing goes on.
  bool Add(Item item);
  // Nothing is held and nothing is being pushed, and pushing is possible (for events at the end of
  // stream, too): the adding side may push by itself.
  bool IsIdle() const;
  // Blocks until IsIdle(); false if pushing fails or is flushed before that.
  bool WaitIdle();
  // Blocks until `ready` (called with the lock held: keep it to reading an atomic) or flow() not
  // OK.
  bool WaitUntil(const std::function<bool()>& ready);
  void Wake();

  // --- the side that takes
  // Blocks until the head may leave; false only when flushing (after an error it waits for a flush
  // or a resumption; at the end of stream events still leave). To be followed by Pushed(), which
  // drops the frames that are held if the flow is an error.
  bool Take(Item* item);
  void Pushed(GstFlowReturn flow);

  // --- any side
  void Complete(HeldFrame& held, InferenceResult result);
  GstFlowReturn flow() const;
  // Sets what every blocked and later call returns, and wakes them all.
  void Stop(GstFlowReturn flow);
  // After Stop(): as if new. What was held is dropped.
  void Reset();
  // Goes on after that error, which has passed (not linked, end of stream); false if flow() is
  // another.
  bool ResumeFrom(GstFlowReturn flow);
  // An end-of-stream event is held behind what could not be pushed.
  bool HoldsEos() const;
  size_t frames() const;

 private:
  bool HeadReady() const;
  bool EventsFlow() const;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Item> items_;                  // guarded by mutex_, as all below
  size_t frames_ = 0;                       // in items_ or being pushed
  bool pushing_ = false;                    // the task holds an item
  GstFlowReturn flow_ = GST_FLOW_FLUSHING;  // until the pads are activated
};

}  // namespace cliptag
