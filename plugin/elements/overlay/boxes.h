// Draws where a tag was seen: a box in the tag's colour, with a caption at it.
//
// Thread safety: pure functions; Pango's default font map is per thread.
#pragma once

#include <gst/video/video-overlay-composition.h>

#include <vector>

#include "plugin/elements/overlay/draw.h"

namespace cliptag {

// A composition of the boxes; what of one lies outside of the frame or in `panel` (of width 0:
// none) is not drawn, and captions lie beside the panel and, where there is room, beside each
// other. Null if there is nothing to draw. Caller owns.
GstVideoOverlayComposition* DrawBoxes(const std::vector<OverlayBox>& boxes,
                                      const OverlayStyle& style, const OverlayFrame& frame,
                                      const Rect& panel);

}  // namespace cliptag
