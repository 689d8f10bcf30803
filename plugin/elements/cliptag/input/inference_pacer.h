// Which frames of a stream are inferred: every n-th, no more than so many a second, and only one a
// second while downstream is late.
//
// Thread safety: belongs to the streaming thread, except OnQos() and skipped_late(), which any
// thread may call.
#pragma once

#include <gst/gst.h>

#include <atomic>

#include "plugin/elements/cliptag/settings.h"
#include "plugin/gst/rate_schedule.h"

namespace cliptag {

class InferencePacer {
 public:
  // Of a frame: `time` as StreamClock counts it, and how long it lasts.
  struct Times {
    guint64 running_time, time, duration;
  };
  // Whether this frame is inferred; to be asked once for each.
  bool Take(const FrameSettings& frame, bool heed_qos, const Times& at) {
    if (frames_++ % frame.interval != 0) return false;
    if (!schedule_.TakeIfDue(at.time, frame.max_rate.period(), frame.interval * at.duration))
      return false;
    const bool late =
        heed_qos && GST_CLOCK_TIME_IS_VALID(at.running_time) && at.running_time < late_until_;
    if (late && GST_CLOCK_TIME_IS_VALID(last_) && at.time - last_ < kLongestPause) {
      ++skipped_late_;
      return false;
    }
    last_ = at.time;
    return true;
  }

  // As base classes of GStreamer take it: what is late by some is likely to be late by twice that.
  void OnQos(GstEvent* event) {
    GstClockTimeDiff jitter = 0;
    GstClockTime running_time = 0;
    gst_event_parse_qos(event, nullptr, nullptr, &jitter, &running_time);
    if (!GST_CLOCK_TIME_IS_VALID(running_time)) return;
    late_until_ = jitter > 0 ? running_time + 2 * static_cast<guint64>(jitter) : 0;
  }
  void OnSegment() { late_until_ = 0; }
  void OnEos() {
    frames_ = 0;
    schedule_.Reset();
  }
  void OnFlush() {
    OnEos();
    late_until_ = 0;
    last_ = GST_CLOCK_TIME_NONE;
  }

  guint64 skipped_late() const { return skipped_late_; }
  void ClearCounts() { skipped_late_ = 0; }

 private:
  static constexpr guint64 kLongestPause = GST_SECOND;  // while downstream is late

  guint64 frames_ = 0;  // since a flush
  RateSchedule schedule_;
  guint64 last_ = GST_CLOCK_TIME_NONE;  // time of the last frame that was taken
  std::atomic<guint64> late_until_{0};  // running time
  std::atomic<guint64> skipped_late_{0};
};

}  // namespace cliptag
