// Draws the overlay: boxes at the regions of tags, and a panel with a line per tag (label, score
// bar, number), as rectangles of a GstVideoOverlayComposition. Independent of the element.
//
// Thread safety: pure functions; Pango's default font map is per thread.
#pragma once

#include <gst/video/video-overlay-composition.h>

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/frame.h"

namespace cliptag {

struct OverlayLine {
  std::string label;
  int percent = 0;  // 0..100, as drawn: smaller changes of the score need no new drawing
  bool active = false;

  bool operator==(const OverlayLine&) const = default;
};

struct OverlayBox {
  Rect place;  // pixels of the frame
  bool of_object = false;
  std::string label;    // determines the colour
  std::string caption;  // "" = none

  bool operator==(const OverlayBox&) const = default;
};

struct OverlayContent {
  std::string title;  // above the lines; "" = none
  std::vector<OverlayLine> lines;
  std::vector<OverlayBox> boxes;

  bool operator==(const OverlayContent&) const = default;
};

enum class OverlayPosition : uint8_t { kTopLeft, kTopRight, kBottomLeft, kBottomRight };

struct OverlayStyle {
  OverlayPosition position = OverlayPosition::kTopLeft;
  double scale = 1.0;  // of the panel; 1 = a fixed part of the frame
  std::string font = "Sans";

  bool operator==(const OverlayStyle&) const = default;
};

// The frame to draw on. Sizes are in square units, the pixels of the displayed frame; places are in
// stored pixels. So text on anamorphic video has the right width when it is displayed.
struct OverlayFrame {
  int width = 0, height = 0;  // stored
  PixelAspect pixel;

  bool operator==(const OverlayFrame&) const = default;
  // Stored pixels of a unit.
  double unit_x() const;
  double unit_y() const;
  // Units of the frame.
  int seen_width() const;
  int seen_height() const;
};

struct Rgb {
  double r, g, b;
};

// The same label has the same colour, in every process.
Rgb ColourOf(const std::string& label);

// The width of the panel does not depend on its content. By default it takes at most a third of the
// frame's width and a quarter of its height; lines that do not fit are left out. It is last in the
// composition, and no box or caption overlaps it. Null if there is nothing to draw, the frame is
// too small, or drawing fails. Caller owns.
GstVideoOverlayComposition* DrawOverlay(const OverlayContent& content, const OverlayStyle& style,
                                        const OverlayFrame& frame);

}  // namespace cliptag
