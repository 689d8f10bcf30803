// Cairo and Pango for the overlay: rectangles of a GstVideoOverlayComposition that are drawn into,
// and text. Thread safety: pure functions; Pango's default font map is per thread.
#pragma once

#include <gst/video/video-overlay-composition.h>
#include <pango/pangocairo.h>

#include <functional>
#include <memory>
#include <string>

#include "plugin/elements/overlay_draw.h"

namespace cliptag {

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

LayoutPtr MakeLayout(cairo_t* cairo, const OverlayStyle& style, int text_px);

// Any bytes: what is not UTF-8 is replaced.
void SetText(PangoLayout* layout, const std::string& text, bool bold);

// Of bold text, in pixels.
int TextWidthOf(const std::string& text, const OverlayStyle& style, int text_px);

// One line of bold text, in the middle of `height` and cut with an ellipsis at `width`.
void DrawText(cairo_t* cairo, const std::string& text, const OverlayStyle& style, int text_px,
              int x, int height, int width);

// A rectangle of the frame that `draw` fills, transparent to begin with; null if that fails. Caller
// owns.
GstVideoOverlayRectangle* DrawRectangle(int x, int y, int width, int height,
                                        const std::function<void(cairo_t*)>& draw);

}  // namespace cliptag
