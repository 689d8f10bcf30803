// Draws where a tag was seen: a box in the tag's colour and, for objects, a caption at it.
//
// Thread safety: pure functions; Pango's default font map is per thread.
#pragma once

#include <gst/video/video-overlay-composition.h>

#include <string>
#include <vector>

#include "plugin/elements/overlay_draw.h"

namespace cliptag {

struct OverlayBox {
  int x = 0, y = 0, width = 0, height = 0;  // pixels of the frame
  std::string label;                        // gives the colour
  std::string caption;                      // "" = none

  bool operator==(const OverlayBox&) const = default;
};

// Adds the boxes to `composition`, which may be null and is taken; what of a box lies outside of
// the frame is not drawn. Null if there is nothing to draw at all. Caller owns.
GstVideoOverlayComposition* AddBoxes(GstVideoOverlayComposition* composition,
                                     const std::vector<OverlayBox>& boxes,
                                     const OverlayStyle& style, int frame_width, int frame_height);

}  // namespace cliptag
