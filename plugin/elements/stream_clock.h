// How much time has passed in a stream, frame by frame: its running time, which goes on over
// segments, and on its own where that is not known or jumps back (timestamps that wrap or begin
// anew within a segment).
//
// Not thread safe: belongs to whoever holds the pad's stream lock.
#pragma once

#include <gst/gst.h>

#include <utility>

namespace cliptag {

class StreamClock {
 public:
  // The time of the next frame, never less than that of the one before. `step` is how long a frame
  // lasts, for those that do not say when they come.
  guint64 Next(guint64 running_time, guint64 step) {
    const bool first = !std::exchange(started_, true);
    if (!GST_CLOCK_TIME_IS_VALID(running_time)) {
      if (!first) now_ += step;
      if (GST_CLOCK_TIME_IS_VALID(last_)) last_ += step;
      return now_;
    }
    if (first) {
      now_ = running_time;
    } else if (!GST_CLOCK_TIME_IS_VALID(last_)) {
      now_ += step;
    } else if (running_time >= last_) {
      now_ += running_time - last_;
    } else if (last_ - running_time <= step) {
      return now_;  // a frame out of turn, or steps that were a little too long
    } else {
      now_ += step;
    }
    last_ = running_time;
    return now_;
  }

  void Reset() { *this = StreamClock(); }

 private:
  bool started_ = false;
  guint64 now_ = 0;
  guint64 last_ = GST_CLOCK_TIME_NONE;  // running time of the last frame, or what stands for it
};

}  // namespace cliptag
