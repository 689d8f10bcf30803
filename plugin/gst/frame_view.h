// From GStreamer's description of a raw frame to the kernels' FrameView, without touching a pixel.
//
// Everything comes from GstVideoFormatInfo, so no format is known by name: a format is supported
// when its samples are whole bytes or little-endian words at fixed distances. Ownership: the view
// borrows the mapped GstVideoFrame's memory. Thread safety: pure functions.
#pragma once

#include <gst/video/video.h>

#include <string>

#include "kernels/base/status.h"
#include "kernels/frame.h"

namespace cliptag {

// Whether frames of this format can be looked at in place.
bool FormatIsSupported(const GstVideoFormatInfo* format);

// "{ RGB, NV12, … }": every supported format, in GStreamer's order, for a caps template.
std::string SupportedFormatsCaps();

// The view of a mapped frame. `crop` may be null; what of it lies outside of the frame is cut off,
// and a crop that leaves nothing is ignored.
Result<FrameView> MakeFrameView(const GstVideoFrame& frame, const GstVideoCropMeta* crop,
                                Orientation orientation);

// The orientation that an image-orientation tag names ("rotate-90", "flip-rotate-0", …); what is
// not known is upright.
Orientation ParseOrientation(const char* tag);

}  // namespace cliptag
