#include "plugin/elements/overlay_draw.h"

#include <algorithm>
#include <cmath>

#include "plugin/elements/overlay_cairo.h"

namespace cliptag {
namespace {

// Everything in pixels, from the frame's size alone, so that it reads the same at 240p and at 4K.
struct Measures {
  int text = 0;     // height of the font
  int line = 0;     // from line to line
  int padding = 0;  // inside the panel
  int margin = 0;   // around it
  int label = 0;    // widths of the columns
  int bar = 0;
  int number = 0;
  int gap = 0;  // between columns
  size_t lines = 0;

  int width() const { return label + bar + number + 2 * gap + 2 * padding; }
  int height() const { return static_cast<int>(lines) * line + 2 * padding; }
};

int TextWidth(PangoLayout* layout, const std::string& text) {
  SetText(layout, text, /*bold=*/true);
  int width = 0;
  pango_layout_get_pixel_size(layout, &width, nullptr);
  return width;
}

// Columns that fit the frame: the label column gives way first. `lines` is 0 if nothing fits.
Measures Measure(const std::vector<OverlayLine>& lines, const OverlayStyle& style, int width,
                 int height) {
  Measures m;
  // 4 % of the height reads well from a distance; no less than 9 pixels, no more than the frame
  // has.
  m.text =
      static_cast<int>(std::lround(std::max(9.0, std::min(height, width) * 0.045) * style.scale));
  m.text = std::clamp(m.text, 6, std::max(6, height / 3));
  m.line = static_cast<int>(std::lround(m.text * 1.45));
  m.padding = std::max(4, m.text * 2 / 5);  // holds the stripe of an active tag, too
  m.margin = std::max(2, m.text / 2);
  m.gap = std::max(2, m.text / 2);
  const SurfacePtr surface(cairo_image_surface_create(CAIRO_FORMAT_ARGB32, 1, 1));
  const CairoPtr cairo(cairo_create(surface.get()));
  const LayoutPtr layout = MakeLayout(cairo.get(), style, m.text);
  m.number = TextWidth(layout.get(), "100 %");
  m.bar = m.text * 4;
  for (const OverlayLine& line : lines) {
    m.label = std::max(m.label, TextWidth(layout.get(), line.label));
  }
  const int room = width - 2 * m.margin - 2 * m.padding - 2 * m.gap - m.number;
  m.bar = std::min(m.bar, room / 3);
  m.label = std::min(m.label, room - m.bar);
  const int fitting = (height - 2 * m.margin - 2 * m.padding) / m.line;
  if (m.label < m.text || m.bar < 1 || fitting < 1) return m;
  m.lines = std::min(lines.size(), static_cast<size_t>(fitting));
  return m;
}

void RoundedRectangle(cairo_t* cairo, double x, double y, double width, double height,
                      double radius) {
  radius = std::min({radius, width / 2, height / 2});
  cairo_new_sub_path(cairo);
  cairo_arc(cairo, x + width - radius, y + radius, radius, -G_PI_2, 0);
  cairo_arc(cairo, x + width - radius, y + height - radius, radius, 0, G_PI_2);
  cairo_arc(cairo, x + radius, y + height - radius, radius, G_PI_2, G_PI);
  cairo_arc(cairo, x + radius, y + radius, radius, G_PI, 3 * G_PI_2);
  cairo_close_path(cairo);
}

void DrawLine(cairo_t* cairo, PangoLayout* layout, const Measures& m, const OverlayLine& line,
              double y) {
  const Rgb colour = ColourOf(line.label);
  const double ink = line.active ? 1.0 : 0.8;
  const double bar_x = m.padding + m.label + m.gap;
  const double bar_height = m.text * 0.6;
  const double bar_y = y + (m.line - bar_height) / 2;

  SetText(layout, line.label, line.active);
  pango_layout_set_width(layout, m.label * PANGO_SCALE);
  pango_layout_set_ellipsize(layout, PANGO_ELLIPSIZE_END);
  int text_height = 0;
  pango_layout_get_pixel_size(layout, nullptr, &text_height);
  cairo_set_source_rgba(cairo, ink, ink, ink, 1);
  cairo_move_to(cairo, m.padding, y + (m.line - text_height) / 2.0);
  pango_cairo_show_layout(cairo, layout);

  cairo_set_source_rgba(cairo, 1, 1, 1, 0.16);
  RoundedRectangle(cairo, bar_x, bar_y, m.bar, bar_height, bar_height / 4);
  cairo_fill(cairo);
  if (line.percent > 0) {
    cairo_set_source_rgba(cairo, colour.r, colour.g, colour.b, line.active ? 1.0 : 0.55);
    RoundedRectangle(cairo, bar_x, bar_y, std::max(1.0, m.bar * line.percent / 100.0), bar_height,
                     bar_height / 4);
    cairo_fill(cairo);
  }

  SetText(layout, std::to_string(line.percent) + " %", line.active);
  pango_layout_set_width(layout, -1);
  int number_width = 0;
  pango_layout_get_pixel_size(layout, &number_width, &text_height);
  cairo_set_source_rgba(cairo, ink, ink, ink, 1);
  cairo_move_to(cairo, m.width() - m.padding - number_width, y + (m.line - text_height) / 2.0);
  pango_cairo_show_layout(cairo, layout);
}

void DrawPanel(cairo_t* cairo, const Measures& m, const std::vector<OverlayLine>& lines,
               const OverlayStyle& style) {
  // Dark enough for white text on any video, light enough to see what is behind.
  cairo_set_source_rgba(cairo, 0.05, 0.06, 0.08, 0.76);
  RoundedRectangle(cairo, 0, 0, m.width(), m.height(), m.padding);
  cairo_fill(cairo);
  const LayoutPtr layout = MakeLayout(cairo, style, m.text);
  for (size_t i = 0; i < m.lines; ++i) {
    const double y = m.padding + static_cast<double>(i) * m.line;
    if (lines[i].active) {
      // A stripe in the tag's colour at the panel's edge.
      const Rgb colour = ColourOf(lines[i].label);
      cairo_set_source_rgba(cairo, colour.r, colour.g, colour.b, 1);
      cairo_rectangle(cairo, 0, y + m.line * 0.12, std::max(2.0, m.padding * 0.45), m.line * 0.76);
      cairo_fill(cairo);
    }
    DrawLine(cairo, layout.get(), m, lines[i], y);
  }
}

}  // namespace

Rgb ColourOf(const std::string& label) {
  uint32_t hash = 2166136261u;  // FNV-1a
  for (const char c : label) hash = (hash ^ static_cast<uint8_t>(c)) * 16777619u;
  hash ^= hash >> 15;  // FNV's low bits alone are close for labels that differ in the last letter
  const double hue = (hash % 360) / 60.0;
  constexpr double kLow = 0.30, kHigh = 1.0;  // saturated and light: reads on the dark panel
  const double x = kLow + (kHigh - kLow) * (1 - std::fabs(std::fmod(hue, 2.0) - 1));
  switch (static_cast<int>(hue)) {
    case 0:
      return {kHigh, x, kLow};
    case 1:
      return {x, kHigh, kLow};
    case 2:
      return {kLow, kHigh, x};
    case 3:
      return {kLow, x, kHigh};
    case 4:
      return {x, kLow, kHigh};
    default:
      return {kHigh, kLow, x};
  }
}

GstVideoOverlayComposition* DrawOverlay(const std::vector<OverlayLine>& lines,
                                        const OverlayStyle& style, int frame_width,
                                        int frame_height) {
  const Measures m = Measure(lines, style, frame_width, frame_height);
  if (m.lines == 0) return nullptr;
  const int width = m.width(), height = m.height();
  const bool right = style.position == OverlayPosition::kTopRight ||
                     style.position == OverlayPosition::kBottomRight;
  const bool bottom = style.position == OverlayPosition::kBottomLeft ||
                      style.position == OverlayPosition::kBottomRight;
  GstVideoOverlayRectangle* rectangle =
      DrawRectangle(right ? frame_width - m.margin - width : m.margin,
                    bottom ? frame_height - m.margin - height : m.margin, width, height,
                    [&](cairo_t* cairo) { DrawPanel(cairo, m, lines, style); });
  if (rectangle == nullptr) return nullptr;
  GstVideoOverlayComposition* composition = gst_video_overlay_composition_new(rectangle);
  gst_video_overlay_rectangle_unref(rectangle);
  return composition;
}

}  // namespace cliptag
