#include "plugin/elements/overlay_draw.h"

#include <pango/pangocairo.h>

#include <algorithm>
#include <cmath>
#include <memory>

namespace cliptag {
namespace {

struct CairoDestroy {
  void operator()(cairo_t* c) const { cairo_destroy(c); }
  void operator()(cairo_surface_t* s) const { cairo_surface_destroy(s); }
};
struct GObjectUnref {
  void operator()(gpointer o) const { g_object_unref(o); }
};
using CairoPtr = std::unique_ptr<cairo_t, CairoDestroy>;
using SurfacePtr = std::unique_ptr<cairo_surface_t, CairoDestroy>;
using LayoutPtr = std::unique_ptr<PangoLayout, GObjectUnref>;

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

LayoutPtr MakeLayout(cairo_t* cairo, const OverlayStyle& style, int text_px) {
  LayoutPtr layout(pango_cairo_create_layout(cairo));
  PangoFontDescription* font = pango_font_description_from_string(style.font.c_str());
  pango_font_description_set_absolute_size(font, static_cast<double>(text_px) * PANGO_SCALE);
  pango_layout_set_font_description(layout.get(), font);
  pango_font_description_free(font);
  pango_layout_set_single_paragraph_mode(layout.get(), TRUE);
  return layout;
}

void SetText(PangoLayout* layout, const std::string& text, bool bold) {
  PangoAttrList* attributes = pango_attr_list_new();
  pango_attr_list_insert(attributes,
                         pango_attr_weight_new(bold ? PANGO_WEIGHT_BOLD : PANGO_WEIGHT_NORMAL));
  pango_layout_set_attributes(layout, attributes);
  pango_attr_list_unref(attributes);
  // Labels are a user's bytes; Pango wants UTF-8.
  gchar* valid = g_utf8_make_valid(text.data(), static_cast<gssize>(text.size()));
  pango_layout_set_text(layout, valid, -1);
  g_free(valid);
}

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
  // Cairo's ARGB32 is what GstVideoOverlayComposition wants: native-endian, premultiplied.
  const int stride = width * 4;
  const gsize size = static_cast<gsize>(stride) * static_cast<gsize>(height);
  GstBuffer* pixels = gst_buffer_new_allocate(nullptr, size, nullptr);
  if (pixels == nullptr) return nullptr;
  gst_buffer_memset(pixels, 0, 0, size);
  GstMapInfo map;
  if (!gst_buffer_map(pixels, &map, GST_MAP_READWRITE)) {
    gst_buffer_unref(pixels);
    return nullptr;
  }
  bool drawn = false;
  {
    const SurfacePtr surface(
        cairo_image_surface_create_for_data(map.data, CAIRO_FORMAT_ARGB32, width, height, stride));
    const CairoPtr cairo(cairo_create(surface.get()));
    DrawPanel(cairo.get(), m, lines, style);
    cairo_surface_flush(surface.get());
    drawn = cairo_status(cairo.get()) == CAIRO_STATUS_SUCCESS;
  }
  gst_buffer_unmap(pixels, &map);
  if (!drawn) {
    gst_buffer_unref(pixels);
    return nullptr;
  }
  gst_buffer_add_video_meta(pixels, GST_VIDEO_FRAME_FLAG_NONE,
                            GST_VIDEO_OVERLAY_COMPOSITION_FORMAT_RGB, static_cast<guint>(width),
                            static_cast<guint>(height));
  const bool right = style.position == OverlayPosition::kTopRight ||
                     style.position == OverlayPosition::kBottomRight;
  const bool bottom = style.position == OverlayPosition::kBottomLeft ||
                      style.position == OverlayPosition::kBottomRight;
  GstVideoOverlayRectangle* rectangle = gst_video_overlay_rectangle_new_raw(
      pixels, right ? frame_width - m.margin - width : m.margin,
      bottom ? frame_height - m.margin - height : m.margin, static_cast<guint>(width),
      static_cast<guint>(height), GST_VIDEO_OVERLAY_FORMAT_FLAG_PREMULTIPLIED_ALPHA);
  gst_buffer_unref(pixels);
  GstVideoOverlayComposition* composition = gst_video_overlay_composition_new(rectangle);
  gst_video_overlay_rectangle_unref(rectangle);
  return composition;
}

}  // namespace cliptag
