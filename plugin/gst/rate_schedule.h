// Which frames of a stream are taken when at most so many a second are wanted: the one rule behind
// max-rate of cliptag and cliptagkeyframes and behind --fps of the tool.
//
// A schedule, not a minimum distance: one time is due every period, so that 10/1 means ten frames a
// second on average whatever the stream's own rate. The frame nearest to a due time is taken.
//
// Not thread safe: belongs to the stream that it counts.
#pragma once

#include <gst/gst.h>

#include <algorithm>

namespace cliptag {

// Frames per second; 0/1 is no limit.
struct Rate {
  gint n = 0, d = 1;

  // The time between two frames in ns; 0 is no limit.
  guint64 period() const {
    return n <= 0 ? 0
                  : gst_util_uint64_scale(GST_SECOND, static_cast<guint64>(d),
                                          static_cast<guint64>(n));
  }
};

class RateSchedule {
 public:
  // Whether the frame at `time` is due; if so, it is taken. A frame without a time is always due,
  // and so is every frame if the period is 0. The schedule starts anew at a frame after a jump, in
  // either direction, and when the period gets shorter.
  // `likely_distance` is the expected time to the next frame, until it has been measured; 0 if
  // unknown.
  bool TakeIfDue(guint64 time, guint64 period, guint64 likely_distance = 0) {
    if (distance_ == 0) distance_ = likely_distance;
    if (period == 0 || !GST_CLOCK_TIME_IS_VALID(time)) return true;
    period = std::min(period, kLongestPeriod);
    Measure(time);
    const guint64 early = EarlyBy(period);
    const bool scheduled = GST_CLOCK_TIME_IS_VALID(next_) && next_ <= time + period + early;
    if (scheduled && time + early < next_) return false;
    const bool on_time = scheduled && time < next_ + period;
    next_ = (on_time ? next_ : time) + period;
    return true;
  }

  void Reset() { *this = RateSchedule(); }

 private:
  static constexpr guint64 kLongestPeriod = G_MAXINT64 / 4;  // sums of times stay within 64 bits

  void Measure(guint64 time) {
    if (GST_CLOCK_TIME_IS_VALID(last_) && time > last_) {
      const guint64 passed = time - last_;
      // A pause says nothing about the frame rate.
      distance_ = distance_ == 0 ? passed : (15 * distance_ + std::min(passed, 4 * distance_)) / 16;
    }
    last_ = time;
  }

  // How early a frame may come, since timestamps jitter. Half the distance between frames takes the
  // nearest one. If frames come about as often as they are wanted, dropping an early one loses an
  // inference, because there is no other frame before the next due time: then a whole period, which
  // passes at most one frame more than the rate in the long run.
  guint64 EarlyBy(guint64 period) const {
    if (distance_ == 0) return period / 20;
    return distance_ > period / 4 * 3 ? period : std::min(distance_, period) / 2;
  }

  guint64 next_ = GST_CLOCK_TIME_NONE;  // the next due time
  guint64 last_ = GST_CLOCK_TIME_NONE;
  guint64 distance_ = 0;  // between two frames: a running mean
};

}  // namespace cliptag
