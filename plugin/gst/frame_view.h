// From GStreamer's description of a raw frame to the kernels' FrameView, for elements and tool. No
// pixel is copied.
//
// All of it follows from GstVideoFormatInfo, no format is known by name: a format is supported if
// its samples are whole bytes or little-endian words at fixed distances. Ownership: the view
// borrows the memory of the mapped GstVideoFrame. Thread safety: pure functions.
#pragma once

#include <gst/video/video.h>

#include <string>

#include "kernels/base/status.h"
#include "kernels/frame.h"

namespace cliptag {

// Whether frames of this format can be read in place.
bool FormatIsSupported(const GstVideoFormatInfo* format);

// "{ RGB, NV12, … }": every supported format, in GStreamer's order, for a caps template.
std::string SupportedFormatsCaps();

// gst_video_info_from_caps() with the caps' chroma site, which GStreamer (1.22) drops from caps
// without colorimetry. False if these are no caps of raw video.
bool ReadVideoInfo(const GstCaps* caps, GstVideoInfo* info);

// The view of a mapped frame. The crop is the buffer's GstVideoCropMeta, clamped to the frame; an
// empty crop is ignored.
Result<FrameView> MakeFrameView(const GstVideoFrame& frame, Orientation orientation);

// The value of an image-orientation tag ("rotate-90", "flip-rotate-0", …); unknown ones are
// upright.
Orientation ParseOrientation(const char* tag);

}  // namespace cliptag
