#include "plugin/elements/overlay_cairo.h"

namespace cliptag {

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
  pango_layout_set_ellipsize(layout.get(), PANGO_ELLIPSIZE_END);
  int text_height = 0;
  pango_layout_get_pixel_size(layout.get(), nullptr, &text_height);
  cairo_move_to(cairo, x, (height - text_height) / 2.0);
  pango_cairo_show_layout(cairo, layout.get());
}

GstVideoOverlayRectangle* DrawRectangle(int x, int y, int width, int height,
                                        const std::function<void(cairo_t*)>& draw) {
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
        pixels, x, y, static_cast<guint>(width), static_cast<guint>(height),
        GST_VIDEO_OVERLAY_FORMAT_FLAG_PREMULTIPLIED_ALPHA);
  }
  gst_buffer_unref(pixels);
  return rectangle;
}

}  // namespace cliptag
