// Draws a box in the tag's colour, with a caption, at the region of a tag.
//
// Thread safety: pure functions; Pango's default font map is per thread.
#pragma once

#include <gst/video/video-overlay-composition.h>

#include <vector>

#include "plugin/elements/overlay/draw.h"

namespace cliptag {

// A composition of the boxes. Parts outside the frame or inside `panel` (of width 0: none) are not
// drawn. Captions do not overlap the panel nor, if there is room, each other. Null if there is
// nothing to draw. Caller owns.
GstVideoOverlayComposition* DrawBoxes(const std::vector<OverlayBox>& boxes,
                                      const OverlayStyle& style, const OverlayFrame& frame,
                                      const Rect& panel);

}  // namespace cliptag
