// From GStreamer's frames to the kernels' FrameView, for every raw format of FrameView's families.
//
// Ownership: a view borrows from the frame that it was made of. Thread safe.
#pragma once

#include <gst/video/video.h>

#include <memory>

#include "kernels/base/status.h"
#include "kernels/frame.h"

namespace cliptag {

// Starts GStreamer at the first call; needed before anything else here.
Status InitGStreamer();

// A video frame that stays mapped for reading as long as somebody holds it.
class MappedFrame {
 public:
  // Takes the buffer over; null when it cannot be mapped.
  static std::shared_ptr<const MappedFrame> Map(GstBuffer* buffer, const GstVideoInfo& info);
  ~MappedFrame();
  MappedFrame(const MappedFrame&) = delete;
  MappedFrame& operator=(const MappedFrame&) = delete;

  const GstVideoFrame& frame() const { return frame_; }

 private:
  MappedFrame() = default;
  GstVideoFrame frame_{};
};

// The formats that a FrameView describes, for caps: "{ NV12, I420, … }".
const char* SupportedVideoFormats();
bool IsSupportedVideoFormat(GstVideoFormat format);

// `frame` is mapped for reading, of a supported format. Takes the crop from the buffer's
// GstVideoCropMeta; the orientation is the caller's to set.
FrameView FrameViewOf(const GstVideoFrame& frame);

// GStreamer's image-orientation tag ("rotate-90", "flip-rotate-0"); unknown values are upright.
Orientation OrientationFromTag(const char* value);

}  // namespace cliptag
