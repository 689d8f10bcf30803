// Draws what the overlay shows: boxes where tags were seen, and a panel of tags with a line each
// (label, score bar, number), as pictures of a GstVideoOverlayComposition. No GStreamer elements in
// here.
//
// Thread safety: Draw is pure; Pango's default font map is per thread.
#pragma once

#include <gst/video/video-overlay-composition.h>

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/frame.h"

namespace cliptag {

struct OverlayLine {
  std::string label;
  int percent = 0;  // 0..100: what is drawn, so that invisible changes draw nothing anew
  bool active = false;

  bool operator==(const OverlayLine&) const = default;
};

struct OverlayBox {
  Rect place;  // pixels of the frame
  bool of_object = false;
  std::string label;    // gives the colour
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
  double scale = 1.0;  // of the panel, which otherwise is a fixed part of the frame
  std::string font = "Sans";

  bool operator==(const OverlayStyle&) const = default;
};

// What is drawn on. Everything is measured in square units, of which the frame has as many as it is
// seen to have pixels, and placed at the pixels that are stored: text on anamorphic video is as
// wide as it should be once it is shown.
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

// The panel is as wide for every content; by default it takes a third of the frame's width and a
// quarter of its height at most, and what does not fit is left out. It comes last in the
// composition, and no box nor caption lies over it. Null if there is nothing to draw, the frame is
// too small for any of it, or drawing fails. Caller owns.
GstVideoOverlayComposition* DrawOverlay(const OverlayContent& content, const OverlayStyle& style,
                                        const OverlayFrame& frame);

}  // namespace cliptag
