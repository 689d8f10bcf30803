// Draws a panel of tags, a line each (label, score bar, number), into an ARGB picture for
// GstVideoOverlayComposition. No GStreamer elements in here.
//
// Thread safety: Draw is pure; Pango's default font map is per thread.
#pragma once

#include <gst/video/video-overlay-composition.h>

#include <cstdint>
#include <string>
#include <vector>

namespace cliptag {

struct OverlayLine {
  std::string label;
  int percent = 0;  // 0..100: what is drawn, so that invisible changes draw nothing anew
  bool active = false;

  bool operator==(const OverlayLine&) const = default;
};

enum class OverlayPosition : uint8_t { kTopLeft, kTopRight, kBottomLeft, kBottomRight };

struct OverlayStyle {
  OverlayPosition position = OverlayPosition::kTopLeft;
  double scale = 1.0;  // of the text, which is otherwise a fixed part of the frame's height
  std::string font = "Sans";

  bool operator==(const OverlayStyle&) const = default;
};

struct Rgb {
  double r, g, b;
};

// The same label has the same colour, in every process.
Rgb ColourOf(const std::string& label);

// A composition of one rectangle for frames of that size; null if the frame is too small to hold
// one line or drawing fails. Caller owns.
GstVideoOverlayComposition* DrawOverlay(const std::vector<OverlayLine>& lines,
                                        const OverlayStyle& style, int frame_width,
                                        int frame_height);

}  // namespace cliptag
