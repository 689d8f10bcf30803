// Which GAP events to send for dropped pictures. The first gap after a keyframe is sent with the
// first dropped picture: a decoder that holds the keyframe back for pictures that are shown before
// it then outputs it at once. More follow every quarter of a second, for elements that wait for
// time to pass (muxers, mosaics), and the rest before the next keyframe, so that gaps cover the
// whole time between two keyframes.
//
// Times are of the segment. Not thread safe: used under the pad's stream lock.
#pragma once

#include <gst/gst.h>

#include <algorithm>
#include <optional>

namespace cliptag {

struct Gap {
  GstClockTime start = 0, duration = 0;  // the duration may be GST_CLOCK_TIME_NONE
};

class GapTracker {
 public:
  // There are no gaps in reverse playback, where the pictures after a keyframe come before it, nor
  // in a segment that is not in time format.
  void SetSegment(const GstSegment& segment) {
    segment_ = segment;
    Restart();
  }
  // From the caps, for buffers without a duration; GST_CLOCK_TIME_NONE if unknown.
  void SetFrameDuration(GstClockTime duration) {
    frame_duration_ = duration;
    Restart();
  }
  // No gaps until the next keyframe: before the first one a decoder has nothing to output, nor caps
  // for its pictures.
  void Restart() {
    open_ = false;
    waiting_ = false;
    end_ = covered_ = GST_CLOCK_TIME_NONE;
  }

  // A picture is dropped: the gap to send now, if any.
  std::optional<Gap> Dropped(const GstBuffer* buffer);
  // A keyframe is about to be sent: the gap to send before it.
  std::optional<Gap> BeforeKeyframe(const GstBuffer* buffer);
  void KeyframeSent(const GstBuffer* buffer);
  // The rest of the gap, before an event.
  std::optional<Gap> Rest();

 private:
  GstClockTime EndOf(const GstBuffer* buffer) const;
  std::optional<Gap> Until(GstClockTime end);

  GstSegment segment_{};
  GstClockTime frame_duration_ = GST_CLOCK_TIME_NONE;
  bool open_ = false;     // a keyframe has been sent
  bool waiting_ = false;  // the first gap after it has not
  bool dropped_ = false;  // a picture was dropped after it
  // Pictures and gaps cover the time up to here; none if the keyframe has no duration.
  GstClockTime covered_ = GST_CLOCK_TIME_NONE;
  GstClockTime key_time_ = GST_CLOCK_TIME_NONE;
  GstClockTime end_ = GST_CLOCK_TIME_NONE;  // the latest end of a dropped picture
};

// The presentation time, else the decoding time.
inline GstClockTime TimeOf(const GstBuffer* buffer) {
  return GST_BUFFER_PTS_IS_VALID(buffer) ? GST_BUFFER_PTS(buffer) : GST_BUFFER_DTS(buffer);
}

}  // namespace cliptag
