#include "plugin/cli/eval/plot/canvas.h"

#include <cairo-svg.h>
#include <pango/pangocairo.h>

#include <cmath>

namespace cliptag {
namespace {

constexpr double kPixelsPerPoint = 2.5;  // 180 dots per inch

struct Unref {
  void operator()(void* object) const { g_object_unref(object); }
};
using LayoutPtr = std::unique_ptr<PangoLayout, Unref>;

LayoutPtr LayoutOf(cairo_t* cairo, const std::string& text, double size, bool bold) {
  LayoutPtr layout(pango_cairo_create_layout(cairo));
  PangoFontDescription* font = pango_font_description_from_string("Sans");
  pango_font_description_set_absolute_size(font, size * PANGO_SCALE);
  if (bold) pango_font_description_set_weight(font, PANGO_WEIGHT_BOLD);
  pango_layout_set_font_description(layout.get(), font);
  pango_font_description_free(font);
  pango_layout_set_single_paragraph_mode(layout.get(), TRUE);
  // Names are a user's bytes; Pango wants UTF-8.
  gchar* valid = g_utf8_make_valid(text.data(), static_cast<gssize>(text.size()));
  pango_layout_set_text(layout.get(), valid, -1);
  g_free(valid);
  return layout;
}

}  // namespace

Result<std::unique_ptr<Canvas>> Canvas::Create(const std::string& path, double width,
                                               double height) {
  std::unique_ptr<Canvas> canvas(new Canvas);
  canvas->path_ = path;
  canvas->png_ = !path.ends_with(".svg");
  if (canvas->png_) {
    canvas->surface_ = cairo_image_surface_create(
        CAIRO_FORMAT_RGB24, static_cast<int>(std::ceil(width * kPixelsPerPoint)),
        static_cast<int>(std::ceil(height * kPixelsPerPoint)));
  } else {
    canvas->surface_ = cairo_svg_surface_create(path.c_str(), width, height);
  }
  canvas->cairo_ = cairo_create(canvas->surface_);
  if (cairo_status(canvas->cairo_) != CAIRO_STATUS_SUCCESS) {
    return NotFound("cannot draw '" + path +
                    "': " + cairo_status_to_string(cairo_status(canvas->cairo_)));
  }
  if (canvas->png_) cairo_scale(canvas->cairo_, kPixelsPerPoint, kPixelsPerPoint);
  cairo_set_line_join(canvas->cairo_, CAIRO_LINE_JOIN_ROUND);
  canvas->Rectangle({0, 0}, width + 1, height + 1, {1, 1, 1});  // to the last pixel's edge
  return canvas;
}

Canvas::~Canvas() {
  cairo_destroy(cairo_);
  cairo_surface_destroy(surface_);
}

void Canvas::Use(Colour colour) {
  cairo_set_source_rgb(cairo_, colour.red, colour.green, colour.blue);
}

void Canvas::Rectangle(Point corner, double width, double height, Colour colour) {
  Use(colour);
  cairo_rectangle(cairo_, corner.x, corner.y, width, height);
  cairo_fill(cairo_);
}

void Canvas::Frame(Point corner, double width, double height, Colour colour, double line) {
  Use(colour);
  cairo_set_line_width(cairo_, line);
  cairo_rectangle(cairo_, corner.x, corner.y, width, height);
  cairo_stroke(cairo_);
}

void Canvas::Line(Point from, Point to, Colour colour, double line, bool dashed) {
  Use(colour);
  cairo_set_line_width(cairo_, line);
  const double dashes[] = {4, 3};
  cairo_set_dash(cairo_, dashes, dashed ? 2 : 0, 0);
  cairo_move_to(cairo_, from.x, from.y);
  cairo_line_to(cairo_, to.x, to.y);
  cairo_stroke(cairo_);
  cairo_set_dash(cairo_, dashes, 0, 0);
}

void Canvas::Path(const std::vector<Point>& points, Colour colour, double line) {
  Use(colour);
  cairo_set_line_width(cairo_, line);
  for (const Point& point : points) cairo_line_to(cairo_, point.x, point.y);
  cairo_stroke(cairo_);
}

void Canvas::Marker(Point middle, int shape, Colour colour) {
  constexpr double kRadius = 3;
  Use(colour);
  const int kinds = shape % 8;
  if (kinds % 4 == 0) {
    cairo_arc(cairo_, middle.x, middle.y, kRadius, 0, 2 * G_PI);
  } else {
    const int corners = kinds % 4 + 2;  // triangle, square, pentagon
    for (int i = 0; i < corners; ++i) {
      const double angle = 2 * G_PI * i / corners - G_PI / 2 + (corners == 4 ? G_PI / 4 : 0);
      cairo_line_to(cairo_, middle.x + 1.15 * kRadius * std::cos(angle),
                    middle.y + 1.15 * kRadius * std::sin(angle));
    }
    cairo_close_path(cairo_);
  }
  if (kinds < 4) {
    cairo_fill(cairo_);
    return;
  }
  // The other four are hollow.
  cairo_path_t* outline = cairo_copy_path(cairo_);
  Use({1, 1, 1});
  cairo_fill(cairo_);
  cairo_append_path(cairo_, outline);
  cairo_path_destroy(outline);
  Use(colour);
  cairo_set_line_width(cairo_, 1.1);
  cairo_stroke(cairo_);
}

void Canvas::Text(Point at, const std::string& text, const TextStyle& style) {
  const LayoutPtr layout = LayoutOf(cairo_, text, style.size, style.bold);
  int width = 0, height = 0;
  pango_layout_get_size(layout.get(), &width, &height);
  if (style.most_width > 0 && width > style.most_width * PANGO_SCALE) {
    pango_layout_set_width(layout.get(), static_cast<int>(style.most_width * PANGO_SCALE));
    pango_layout_set_ellipsize(layout.get(), PANGO_ELLIPSIZE_END);
    pango_layout_get_size(layout.get(), &width, &height);
  }
  const double w = static_cast<double>(width) / PANGO_SCALE;
  const double h = static_cast<double>(height) / PANGO_SCALE;
  const double shift = style.align == Align::kStart ? 0 : style.align == Align::kEnd ? w : w / 2;
  Use(style.colour);
  cairo_save(cairo_);
  cairo_translate(cairo_, at.x, at.y);
  if (style.upwards) cairo_rotate(cairo_, -G_PI / 2);
  cairo_move_to(cairo_, -shift, -h / 2);
  pango_cairo_show_layout(cairo_, layout.get());
  cairo_restore(cairo_);
  cairo_new_path(cairo_);
}

double Canvas::WidthOf(const std::string& text, double size, bool bold) {
  const LayoutPtr layout = LayoutOf(cairo_, text, size, bold);
  int width = 0;
  pango_layout_get_size(layout.get(), &width, nullptr);
  return static_cast<double>(width) / PANGO_SCALE;
}

Status Canvas::Finish() {
  cairo_status_t status = cairo_status(cairo_);
  if (status == CAIRO_STATUS_SUCCESS && png_) {
    status = cairo_surface_write_to_png(surface_, path_.c_str());
  }
  if (!png_) {
    cairo_surface_finish(surface_);
    if (status == CAIRO_STATUS_SUCCESS) status = cairo_surface_status(surface_);
  }
  if (status == CAIRO_STATUS_SUCCESS) return {};
  return NotFound("cannot write the figure '" + path_ + "': " + cairo_status_to_string(status));
}

}  // namespace cliptag
