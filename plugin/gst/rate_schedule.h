// Which of a stream's pictures are due when no more than so many a second are wanted: a schedule
// rather than a distance, so that 10/1 means ten a second on average whatever the pictures' own
// rate. Of the pictures around a time that is due the nearest is taken.
//
// Not thread safe: belongs to whoever holds the pad's stream lock.
#pragma once

#include <gst/gst.h>

#include <algorithm>

namespace cliptag {

class RateSchedule {
 public:
  // Whether the picture at `running_time` is due; if so, it is taken. 0/1 is no limit, and what has
  // no time is always due. Begins anew after a jump back and when the rate has been raised.
  // `likely_distance` to the next picture is for the first ones; 0 if it is not known.
  bool TakeIfDue(guint64 running_time, gint rate_n, gint rate_d, guint64 likely_distance = 0) {
    if (distance_ == 0) distance_ = likely_distance;
    if (rate_n <= 0 || !GST_CLOCK_TIME_IS_VALID(running_time)) return true;
    const guint64 period = gst_util_uint64_scale(GST_SECOND, static_cast<guint64>(rate_d),
                                                 static_cast<guint64>(rate_n));
    Measure(running_time);
    const guint64 early = EarlyBy(period);
    const bool scheduled = GST_CLOCK_TIME_IS_VALID(next_) && next_ <= running_time + period + early;
    if (scheduled && running_time + early < next_) return false;
    const bool on_time = scheduled && running_time < next_ + period;
    next_ = (on_time ? next_ : running_time) + period;
    return true;
  }

  void Reset() { *this = RateSchedule(); }

 private:
  void Measure(guint64 running_time) {
    if (GST_CLOCK_TIME_IS_VALID(last_) && running_time > last_) {
      const guint64 passed = running_time - last_;
      // A pause says nothing of the pictures' rate.
      distance_ = distance_ == 0 ? passed : (15 * distance_ + std::min(passed, 4 * distance_)) / 16;
    }
    last_ = running_time;
  }

  // No picture comes to the nanosecond. Half the distance between two makes it the nearest one that
  // is taken. Where pictures come about as often as they are wanted, one that is dropped for being
  // early is a look lost, since none lies between it and the next: then a whole period, which over
  // all time lets through one more than the rate at most.
  guint64 EarlyBy(guint64 period) const {
    if (distance_ == 0) return period / 20;
    return distance_ > period / 4 * 3 ? period : std::min(distance_, period) / 2;
  }

  guint64 next_ = GST_CLOCK_TIME_NONE;
  guint64 last_ = GST_CLOCK_TIME_NONE;
  guint64 distance_ = 0;  // between two pictures, a mean over the last ones
};

}  // namespace cliptag
