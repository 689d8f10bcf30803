// Cairo and Pango for the overlay: text, and rectangles of a GstVideoOverlayComposition to draw
// into. Thread safety: pure functions; Pango's default font map is per thread.
#pragma once

#include <gst/video/video-overlay-composition.h>
#include <pango/pangocairo.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "plugin/elements/overlay/draw.h"

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

// Collects rectangles, in the order in which they are drawn.
class Composer {
 public:
  explicit Composer(GstVideoOverlayComposition* begin = nullptr) : composition_(begin) {}
  ~Composer() {
    if (composition_ != nullptr) gst_video_overlay_composition_unref(composition_);
  }
  Composer(const Composer&) = delete;
  Composer& operator=(const Composer&) = delete;

  void Add(GstVideoOverlayRectangle* rectangle);  // takes it; may be null
  GstVideoOverlayComposition* Take() { return std::exchange(composition_, nullptr); }

 private:
  GstVideoOverlayComposition* composition_;
};

// At most this many characters of a text are drawn: labels may have any length, and Pango lays out
// a whole line before it cuts it.
inline constexpr int kMostCharacters = 200;

// Any bytes as UTF-8 of at most kMostCharacters: invalid bytes are replaced, the rest is cut.
std::string Drawable(const std::string& text);

void SetText(PangoLayout* layout, const std::string& text, bool bold);

// Of bold text, in pixels.
int TextWidthOf(const std::string& text, const OverlayStyle& style, int text_px);

// One line of bold text, in the middle of `height` and cut with an ellipsis at `width`.
void DrawText(cairo_t* cairo, const std::string& text, const OverlayStyle& style, int text_px,
              int x, int height, int width);

// A rectangle at `place`, in pixels of the frame. It is transparent; `draw` fills it, in units.
// Null on failure. Caller owns.
GstVideoOverlayRectangle* DrawRectangle(const Rect& place, const OverlayFrame& frame,
                                        const std::function<void(cairo_t*)>& draw);

}  // namespace cliptag
