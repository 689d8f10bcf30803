// How much time has passed in a stream, frame by frame: its running time, which goes on over
// segments, and on its own where that is not known or jumps back (timestamps that wrap or start
// again within a segment).
//
// Not thread safe: belongs to the holder of the pad's stream lock.
#pragma once

#include <gst/gst.h>

#include <algorithm>
#include <utility>

namespace cliptag {

class StreamClock {
 public:
  // The time of the next frame, never less than that of the one before. `step` is how long a frame
  // lasts, for those that do not say when they come. Frames out of turn, or of one and the same
  // time, last as long too: what that is too much is made up for by the next that go on.
  guint64 Next(guint64 running_time, guint64 step) {
    const bool first = !std::exchange(started_, true);
    const bool timed = GST_CLOCK_TIME_IS_VALID(running_time);
    const bool known = GST_CLOCK_TIME_IS_VALID(latest_);
    if (first) {
      now_ = timed ? running_time : 0;
    } else if (timed && known && running_time > latest_) {
      const guint64 passed = running_time - latest_;
      const guint64 made_up = std::min(passed, ahead_);
      ahead_ -= made_up;
      now_ += passed - made_up;
    } else {
      now_ += step;
    }
    if (!timed) {
      if (known) latest_ += step;
    } else if (!known || running_time > latest_) {
      latest_ = running_time;
    } else if (latest_ - running_time > kMostOutOfTurn * step) {
      latest_ = running_time;  // timestamps that start again
      ahead_ = 0;
    } else {
      ahead_ += step;
    }
    return now_;
  }

  void Reset() { *this = StreamClock(); }

 private:
  static constexpr guint64 kMostOutOfTurn = 16;  // frames: what a codec may put in another order

  bool started_ = false;
  guint64 now_ = 0;
  guint64 latest_ = GST_CLOCK_TIME_NONE;  // running time so far, or what stands for it
  guint64 ahead_ = 0;                     // how much less than now_ has passed since by latest_
};

}  // namespace cliptag
