// Which of a stream's pictures are due when no more than so many a second are wanted: a schedule
// rather than a distance, so that 10/1 means ten a second on average whatever the pictures' own
// rate.
//
// Not thread safe: belongs to whoever holds the pad's stream lock.
#pragma once

#include <gst/gst.h>

namespace cliptag {

class RateSchedule {
 public:
  // Whether the picture at `running_time` is due; if so, it is taken. 0/1 is no limit, and what has
  // no time is always due. Begins anew after a jump and when the rate has been raised.
  bool TakeIfDue(guint64 running_time, gint rate_n, gint rate_d) {
    if (rate_n <= 0 || !GST_CLOCK_TIME_IS_VALID(running_time)) return true;
    const guint64 period = gst_util_uint64_scale(GST_SECOND, static_cast<guint64>(rate_d),
                                                 static_cast<guint64>(rate_n));
    // A camera's keyframe a second is never a second to the nanosecond: one that is early by a
    // little would otherwise be dropped, and a whole second lost.
    const guint64 early = period / 20;
    const bool scheduled = GST_CLOCK_TIME_IS_VALID(next_) && next_ <= running_time + period + early;
    if (scheduled && running_time + early < next_) return false;
    const bool on_time = scheduled && running_time < next_ + period;
    next_ = (on_time ? next_ : running_time) + period;
    return true;
  }

  void Reset() { next_ = GST_CLOCK_TIME_NONE; }

 private:
  guint64 next_ = GST_CLOCK_TIME_NONE;
};

}  // namespace cliptag
