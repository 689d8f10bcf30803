// What GStreamer says of a picture's colours, in the terms of a FrameView.
//
// Thread safety: pure functions.
#pragma once

#include <gst/video/video.h>

#include "kernels/frame.h"

namespace cliptag {

inline Transfer TransferOf(const GstVideoColorimetry& colorimetry) {
  switch (colorimetry.transfer) {
    case GST_VIDEO_TRANSFER_SMPTE2084:
      return Transfer::kPq;
    case GST_VIDEO_TRANSFER_ARIB_STD_B67:
      return Transfer::kHlg;
    default:
      return Transfer::kSdr;
  }
}

// PQ and HLG are BT.2100's, whose primaries are BT.2020's where the caps do not say.
inline Primaries PrimariesOf(const GstVideoColorimetry& colorimetry) {
  const bool unknown = colorimetry.primaries == GST_VIDEO_COLOR_PRIMARIES_UNKNOWN;
  return colorimetry.primaries == GST_VIDEO_COLOR_PRIMARIES_BT2020 ||
                 (unknown && TransferOf(colorimetry) != Transfer::kSdr)
             ? Primaries::kBt2020
             : Primaries::kBt709;
}

}  // namespace cliptag
