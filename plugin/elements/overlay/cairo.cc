#include "plugin/elements/overlay/cairo.h"

#include <algorithm>
#include <cmath>

namespace cliptag {

void Composer::Add(GstVideoOverlayRectangle* rectangle) {
  if (rectangle == nullptr) return;
  if (composition_ == nullptr) {
    composition_ = gst_video_overlay_composition_new(rectangle);
  } else {
    composition_ = gst_video_overlay_composition_make_writable(composition_);
    gst_video_overlay_composition_add_rectangle(composition_, rectangle);
  }
  gst_video_overlay_rectangle_unref(rectangle);
}

std::string Drawable(const std::string& text) {
  constexpr size_t kMostBytes = size_t{4} * (kMostCharacters + 1);
  gchar* valid =
      g_utf8_make_valid(text.data(), static_cast<gssize>(std::min(text.size(), kMostBytes)));
  std::string drawable(valid);
  if (g_utf8_strlen(valid, -1) > kMostCharacters) {
    drawable.resize(static_cast<size_t>(g_utf8_offset_to_pointer(valid, kMostCharacters) - valid));
    drawable += "\u2026";  // an ellipsis
  }
  g_free(valid);
  return drawable;
}

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
  const std::string drawable = Drawable(text);
  pango_layout_set_text(layout, drawable.data(), static_cast<int>(drawable.size()));
}

int TextWidthOf(const std::string& text, const OverlayStyle& style, int text_px) {
  const SurfacePtr surface(cairo_image_surface_create(CAIRO_FORMAT_ARGB32, 1, 1));
  const CairoPtr cairo(cairo_create(surface.get()));
  const LayoutPtr layout = MakeLayout(cairo.get(), style, text_px);
  SetText(layout.get(), text, /*bold=*/true);
  int width = 0;
  pango_layout_get_pixel_size(layout.get(), &width, nullptr);
  return width;
}

void DrawText(cairo_t* cairo, const std::string& text, const OverlayStyle& style, int text_px,
              int x, int height, int width) {
  const LayoutPtr layout = MakeLayout(cairo, style, text_px);
  SetText(layout.get(), text, /*bold=*/true);
  pango_layout_set_width(layout.get(), width * PANGO_SCALE);
  // In the middle, so that the number at the end stays.
  pango_layout_set_ellipsize(layout.get(), PANGO_ELLIPSIZE_MIDDLE);
  int text_height = 0;
  pango_layout_get_pixel_size(layout.get(), nullptr, &text_height);
  cairo_move_to(cairo, x, (height - text_height) / 2.0);
  pango_cairo_show_layout(cairo, layout.get());
}

GstVideoOverlayRectangle* DrawRectangle(const Rect& place, const OverlayFrame& frame,
                                        const std::function<void(cairo_t*)>& draw) {
  if (place.width <= 0 || place.height <= 0) return nullptr;
  // Drawn in square units; GStreamer scales the rectangle to the frame's pixels. (On a surface that
  // is scaled along one axis Pango's letter spacing is wrong.)
  const int width = std::max(1, static_cast<int>(std::lround(place.width / frame.unit_x())));
  const int height = std::max(1, static_cast<int>(std::lround(place.height / frame.unit_y())));
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
    draw(cairo.get());
    cairo_surface_flush(surface.get());
    drawn = cairo_status(cairo.get()) == CAIRO_STATUS_SUCCESS;
  }
  gst_buffer_unmap(pixels, &map);
  GstVideoOverlayRectangle* rectangle = nullptr;
  if (drawn) {
    gst_buffer_add_video_meta(pixels, GST_VIDEO_FRAME_FLAG_NONE,
                              GST_VIDEO_OVERLAY_COMPOSITION_FORMAT_RGB, static_cast<guint>(width),
                              static_cast<guint>(height));
    rectangle = gst_video_overlay_rectangle_new_raw(
        pixels, place.x, place.y, static_cast<guint>(place.width), static_cast<guint>(place.height),
        GST_VIDEO_OVERLAY_FORMAT_FLAG_PREMULTIPLIED_ALPHA);
  }
  gst_buffer_unref(pixels);
  return rectangle;
}

}  // namespace cliptag
