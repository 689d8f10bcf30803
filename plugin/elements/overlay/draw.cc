#include "plugin/elements/overlay/draw.h"

#include <algorithm>
#include <cmath>

#include "plugin/elements/overlay/boxes.h"
#include "plugin/elements/overlay/cairo.h"

namespace cliptag {
namespace {

constexpr double kWidest = 1.0 / 3, kHighest = 1.0 / 4;  // of the frame, at scale 1

// In units. They depend only on the frame's size, not on the tags, and scale with it.
struct Measures {
  int text = 0;     // height of the font
  int line = 0;     // from line to line
  int padding = 0;  // inside the panel
  int margin = 0;   // around it
  int label = 0;    // widths of the columns; 0 = no room
  int bar = 0;
  int number = 0;
  int gap = 0;  // between columns
  int width = 0;
  size_t fitting = 0;  // lines; 0 if nothing fits

  int height(size_t lines) const { return static_cast<int>(lines) * line + 2 * padding; }
};

// If there is little room, the bar is left out first, then the number.
void MeasureColumns(int room, int number, Measures* m) {
  m->bar = std::min(4 * m->text, room / 4);
  m->number = number;
  m->label = room - m->bar - number - 2 * m->gap;
  if (m->label < 4 * m->text) {
    m->bar = 0;
    m->label = room - number - m->gap;
  }
  if (m->label < 3 * m->text) {
    m->number = 0;
    m->label = room;
  }
}

Measures Measure(const OverlayStyle& style, const OverlayFrame& frame) {
  Measures m;
  const int width = frame.seen_width(), height = frame.seen_height();
  // 3 % of the frame: five such lines fit the panel. Less than 9 pixels cannot be read.
  m.text =
      static_cast<int>(std::lround(std::max(9.0, std::min(height, width) * 0.031) * style.scale));
  m.text = std::clamp(m.text, 6, std::max(6, height / 3));
  m.line = static_cast<int>(std::lround(m.text * 1.4));
  m.padding = std::max(4, m.text * 2 / 5);  // also has the stripe of an active tag
  m.margin = std::max(2, m.text / 2);
  m.gap = std::max(2, m.text * 2 / 5);
  const int number = TextWidthOf("100 %", style, m.text);
  const int wanted = 14 * m.text + 4 * m.text + number + 2 * m.gap + 2 * m.padding;
  const double widest = std::min<double>(width - 2 * m.margin, width * kWidest * style.scale);
  const double highest = std::min<double>(height - 2 * m.margin, height * kHighest * style.scale);
  m.width = std::min(wanted, static_cast<int>(widest));
  MeasureColumns(m.width - 2 * m.padding, number, &m);
  const int room = static_cast<int>(highest) - 2 * m.padding;
  if (m.label >= 2 * m.text && room >= m.line) m.fitting = static_cast<size_t>(room / m.line);
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

// One line of text, cut at `width`; numbers are right-aligned.
void DrawCell(cairo_t* cairo, PangoLayout* layout, const Measures& m, double x, double y, int width,
              bool number) {
  pango_layout_set_width(layout, width * PANGO_SCALE);
  pango_layout_set_ellipsize(layout, PANGO_ELLIPSIZE_END);
  pango_layout_set_alignment(layout, number ? PANGO_ALIGN_RIGHT : PANGO_ALIGN_LEFT);
  int text_height = 0;
  pango_layout_get_pixel_size(layout, nullptr, &text_height);
  cairo_move_to(cairo, x, y + (m.line - text_height) / 2.0);
  pango_cairo_show_layout(cairo, layout);
}

void DrawLine(cairo_t* cairo, PangoLayout* layout, const Measures& m, const OverlayLine& line,
              double y) {
  const Rgb colour = ColourOf(line.label);
  const double ink = line.active ? 1.0 : 0.8;
  if (line.active) {
    // A stripe in the tag's colour at the panel's edge.
    cairo_set_source_rgba(cairo, colour.r, colour.g, colour.b, 1);
    cairo_rectangle(cairo, 0, y + m.line * 0.12, std::max(2.0, m.padding * 0.45), m.line * 0.76);
    cairo_fill(cairo);
  }
  cairo_set_source_rgba(cairo, ink, ink, ink, 1);
  SetText(layout, line.label, line.active);
  DrawCell(cairo, layout, m, m.padding, y, m.label, false);
  if (m.bar > 0) {
    const double bar_x = m.padding + m.label + m.gap;
    const double bar_height = m.text * 0.6;
    const double bar_y = y + (m.line - bar_height) / 2;
    cairo_set_source_rgba(cairo, 1, 1, 1, 0.16);
    RoundedRectangle(cairo, bar_x, bar_y, m.bar, bar_height, bar_height / 4);
    cairo_fill(cairo);
    if (line.percent > 0) {
      cairo_set_source_rgba(cairo, colour.r, colour.g, colour.b, line.active ? 1.0 : 0.55);
      RoundedRectangle(cairo, bar_x, bar_y, std::max(1.0, m.bar * line.percent / 100.0), bar_height,
                       bar_height / 4);
      cairo_fill(cairo);
    }
  }
  if (m.number == 0) return;
  cairo_set_source_rgba(cairo, ink, ink, ink, 1);
  SetText(layout, std::to_string(line.percent) + " %", line.active);
  DrawCell(cairo, layout, m, m.width - m.padding - m.number, y, m.number, true);
}

void DrawPanel(cairo_t* cairo, const Measures& m, const OverlayContent& content, size_t lines,
               const OverlayStyle& style) {
  const size_t titles = content.title.empty() ? 0 : 1;
  // Dark enough for white text on any video, transparent enough to see the video.
  cairo_set_source_rgba(cairo, 0.05, 0.06, 0.08, 0.76);
  RoundedRectangle(cairo, 0, 0, m.width, m.height(titles + lines), m.padding);
  cairo_fill(cairo);
  const LayoutPtr layout = MakeLayout(cairo, style, m.text);
  double y = m.padding;
  if (titles > 0) {
    cairo_set_source_rgba(cairo, 1, 1, 1, 1);
    SetText(layout.get(), content.title, /*bold=*/true);
    DrawCell(cairo, layout.get(), m, m.padding, y, m.width - 2 * m.padding, false);
    y += m.line;
  }
  for (size_t i = 0; i < lines; ++i, y += m.line)
    DrawLine(cairo, layout.get(), m, content.lines[i], y);
}

// Clamped: no real video has pixels eight times as wide as high.
double AspectOf(const PixelAspect& pixel) {
  return std::clamp(static_cast<double>(pixel.width) / pixel.height, 1.0 / 8, 8.0);
}

}  // namespace

Rgb ColourOf(const std::string& label) {
  uint32_t hash = 2166136261u;  // FNV-1a
  for (const char c : label) hash = (hash ^ static_cast<uint8_t>(c)) * 16777619u;
  hash ^= hash >> 15;  // FNV's low bits are similar for labels that differ in the last letter
  const double hue = (hash % 360) / 60.0;
  constexpr double kLow = 0.30, kHigh = 1.0;  // saturated and light: readable on the dark panel
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

double OverlayFrame::unit_x() const { return std::min(1.0, 1 / AspectOf(pixel)); }
double OverlayFrame::unit_y() const { return std::min(1.0, AspectOf(pixel)); }
int OverlayFrame::seen_width() const { return static_cast<int>(std::lround(width / unit_x())); }
int OverlayFrame::seen_height() const { return static_cast<int>(std::lround(height / unit_y())); }

GstVideoOverlayComposition* DrawOverlay(const OverlayContent& content, const OverlayStyle& style,
                                        const OverlayFrame& frame) {
  const Measures m = Measure(style, frame);
  const size_t titles = content.title.empty() ? 0 : 1;
  const size_t lines = std::min(content.lines.size(), m.fitting - std::min(m.fitting, titles));
  Rect panel;
  if (m.fitting > 0 && titles + lines > 0) {
    panel.width = std::max(1, static_cast<int>(m.width * frame.unit_x()));
    panel.height = std::max(1, static_cast<int>(m.height(titles + lines) * frame.unit_y()));
    const bool right = style.position == OverlayPosition::kTopRight ||
                       style.position == OverlayPosition::kBottomRight;
    const bool bottom = style.position == OverlayPosition::kBottomLeft ||
                        style.position == OverlayPosition::kBottomRight;
    const int margin_x = static_cast<int>(std::lround(m.margin * frame.unit_x()));
    const int margin_y = static_cast<int>(std::lround(m.margin * frame.unit_y()));
    panel.x = right ? frame.width - margin_x - panel.width : margin_x;
    panel.y = bottom ? frame.height - margin_y - panel.height : margin_y;
  }
  Composer composition(DrawBoxes(content.boxes, style, frame, panel));
  composition.Add(DrawRectangle(
      panel, frame, [&](cairo_t* cairo) { DrawPanel(cairo, m, content, lines, style); }));
  return composition.Take();
}

}  // namespace cliptag
