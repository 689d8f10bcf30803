// The time that dropped pictures leave uncovered, told downstream bit by bit. The first gap after a
// keyframe goes out with the first picture that is dropped, so that whoever holds the keyframe back
// for what might be shown before it learns at once that nothing comes. More follow every quarter of
// a second, for what waits for time to pass (muxers, mosaics), and the rest before the next
// keyframe, so that nothing between two keyframes is left out.
//
// Times are of the segment. Not thread safe: belongs to whoever holds the pad's stream lock.
#pragma once

#include <gst/gst.h>

#include <algorithm>
#include <optional>

namespace cliptag {

struct Gap {
  GstClockTime start = 0, duration = 0;  // GST_CLOCK_TIME_NONE if the duration is not known
};

class GapTracker {
 public:
  // Gaps are told neither backwards, where what was dropped behind a keyframe has been passed
  // before it, nor in a segment that is not of times.
  void SetSegment(const GstSegment& segment) {
    segment_ = segment;
    Restart();
  }
  // Of the caps; GST_CLOCK_TIME_NONE if they do not tell. For buffers that do not say theirs.
  void SetFrameDuration(GstClockTime duration) {
    frame_duration_ = duration;
    Restart();
  }
  // Nothing has gone on since: before the first keyframe a decoder has nothing to give out, nor
  // caps to say how large its pictures are.
  void Restart() {
    open_ = false;
    waiting_ = false;
    end_ = covered_ = GST_CLOCK_TIME_NONE;
  }

  // A picture is dropped: perhaps there is a gap to tell now.
  std::optional<Gap> Dropped(const GstBuffer* buffer);
  // A keyframe is about to go on: what is left to tell before it.
  std::optional<Gap> BeforeKeyframe(const GstBuffer* buffer);
  void KeyframeSent(const GstBuffer* buffer);
  // Something else is about to: what is left to tell of the pictures that were dropped.
  std::optional<Gap> Rest();

 private:
  GstClockTime EndOf(const GstBuffer* buffer) const;
  std::optional<Gap> Until(GstClockTime end);

  GstSegment segment_{};
  GstClockTime frame_duration_ = GST_CLOCK_TIME_NONE;
  bool open_ = false;     // a keyframe has gone on
  bool waiting_ = false;  // and the first gap after it has not
  bool dropped_ = false;  // a picture was dropped after it
  // Up to here all is shown or told; none if the keyframe does not say how long it lasts.
  GstClockTime covered_ = GST_CLOCK_TIME_NONE;
  GstClockTime key_time_ = GST_CLOCK_TIME_NONE;
  GstClockTime end_ = GST_CLOCK_TIME_NONE;  // the latest end of a dropped picture
};

// When the picture is shown, or decoded if it does not say.
inline GstClockTime TimeOf(const GstBuffer* buffer) {
  return GST_BUFFER_PTS_IS_VALID(buffer) ? GST_BUFFER_PTS(buffer) : GST_BUFFER_DTS(buffer);
}

}  // namespace cliptag
