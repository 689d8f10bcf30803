// Detects that a stream has been without a keyframe for so long that a warning is due: once, until
// it is reset.
//
// Not thread safe: used under the pad's stream lock.
#pragma once

#include <gst/gst.h>

namespace cliptag {

class KeyframeWatch {
 public:
  enum class Verdict {
    kFine,
    kNoKeyframe,    // nothing like a keyframe
    kNoEntryPoint,  // I pictures, but decoding may not begin with them
  };

  // Two I pictures are two groups of pictures; a keyframe every ten seconds is normal for cameras.
  static constexpr GstClockTime kLong = 10 * GST_SECOND, kLongWithIntra = 5 * GST_SECOND;
  static constexpr guint kManyIntra = 2;
  // For pictures without times.
  static constexpr guint kLongFrames = 300, kLongFramesWithIntra = 150;

  void Keyframe(GstClockTime time) {
    since_ = time;
    frames_ = intra_ = 0;
  }

  // Any other picture. `time` may be GST_CLOCK_TIME_NONE.
  Verdict Other(GstClockTime time, bool intra) {
    if (warned_) return Verdict::kFine;
    if (!GST_CLOCK_TIME_IS_VALID(since_)) since_ = time;
    ++frames_;
    intra_ += intra ? 1 : 0;
    const bool many = intra_ >= kManyIntra;
    const bool timed = GST_CLOCK_TIME_IS_VALID(time) && GST_CLOCK_TIME_IS_VALID(since_);
    warned_ = timed ? time > since_ + (many ? kLongWithIntra : kLong)
                    : frames_ > (many ? kLongFramesWithIntra : kLongFrames);
    if (!warned_) return Verdict::kFine;
    return many ? Verdict::kNoEntryPoint : Verdict::kNoKeyframe;
  }

  // After a seek or a new segment: starts measuring again, but does not warn again.
  void Jump() { Keyframe(GST_CLOCK_TIME_NONE); }
  void Reset() {
    Jump();
    warned_ = false;
  }

 private:
  GstClockTime since_ = GST_CLOCK_TIME_NONE;  // the last keyframe, or the first picture
  guint frames_ = 0, intra_ = 0;              // since
  bool warned_ = false;
};

}  // namespace cliptag
