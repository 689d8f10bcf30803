#include "plugin/elements/keyframes/gap_tracker.h"

namespace cliptag {
namespace {

// Rare enough that draining a decoder costs nothing, frequent enough for a mosaic that waits.
constexpr GstClockTime kStep = 250 * GST_MSECOND;

}  // namespace

GstClockTime GapTracker::EndOf(const GstBuffer* buffer) const {
  const GstClockTime time = TimeOf(buffer);
  if (GST_BUFFER_DURATION_IS_VALID(buffer)) return time + GST_BUFFER_DURATION(buffer);
  return GST_CLOCK_TIME_IS_VALID(frame_duration_) ? time + frame_duration_ : time;
}

void GapTracker::KeyframeSent(const GstBuffer* buffer) {
  const GstClockTime time = TimeOf(buffer);
  open_ = segment_.format == GST_FORMAT_TIME && segment_.rate > 0 && GST_CLOCK_TIME_IS_VALID(time);
  if (!open_) return;
  waiting_ = true;
  dropped_ = false;
  key_time_ = time;
  const GstClockTime end = EndOf(buffer);
  covered_ = end > time ? end : GST_CLOCK_TIME_NONE;
  end_ = GST_CLOCK_TIME_NONE;
}

std::optional<Gap> GapTracker::Dropped(const GstBuffer* buffer) {
  const GstClockTime time = TimeOf(buffer);
  if (!open_) return std::nullopt;
  dropped_ = true;
  // Pictures that are decoded after the keyframe but shown before it leave no gap behind it.
  if (!GST_CLOCK_TIME_IS_VALID(time) || time <= key_time_) return std::nullopt;
  if (!GST_CLOCK_TIME_IS_VALID(covered_)) covered_ = time;
  const GstClockTime end = EndOf(buffer);
  end_ = GST_CLOCK_TIME_IS_VALID(end_) ? std::max(end_, end) : end;
  if (!waiting_ && end_ < covered_ + kStep) return std::nullopt;
  return Until(end_);
}

std::optional<Gap> GapTracker::BeforeKeyframe(const GstBuffer* buffer) {
  if (!open_ || !dropped_) return std::nullopt;
  const GstClockTime time = TimeOf(buffer);
  if (!GST_CLOCK_TIME_IS_VALID(time)) return Rest();
  // All dropped pictures are shown before the last keyframe, or at an unknown time; and a keyframe
  // of unknown duration lasts until the next one.
  if (!GST_CLOCK_TIME_IS_VALID(covered_) || time <= covered_) return std::nullopt;
  return Until(time);
}

std::optional<Gap> GapTracker::Rest() {
  if (!open_ || !GST_CLOCK_TIME_IS_VALID(end_)) return std::nullopt;
  return Until(end_);
}

std::optional<Gap> GapTracker::Until(GstClockTime end) {
  // Empty if the duration of pictures is unknown; decoders wait for such a gap, too.
  if (end <= covered_ && !waiting_) return std::nullopt;
  const GstClockTime begin = covered_;
  end = std::max(end, begin);
  covered_ = end;
  waiting_ = false;
  guint64 first = 0, last = 0;
  if (!gst_segment_clip(&segment_, GST_FORMAT_TIME, begin, end, &first, &last)) {
    return std::nullopt;
  }
  return Gap{first, last > first ? last - first : GST_CLOCK_TIME_NONE};
}

}  // namespace cliptag
