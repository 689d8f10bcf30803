#include "plugin/elements/overlay_boxes.h"

#include <algorithm>
#include <cmath>

#include "plugin/elements/overlay_cairo.h"

namespace cliptag {
namespace {

// The frame's text height, as in the panel but smaller: there may be many boxes.
int CaptionHeight(const OverlayStyle& style, int width, int height) {
  const double wanted = std::max(8.0, std::min(width, height) * 0.032) * style.scale;
  return std::clamp(static_cast<int>(std::lround(wanted)), 6, std::max(6, height / 4));
}

class BoxDrawer {
 public:
  BoxDrawer(GstVideoOverlayComposition* composition, const OverlayStyle& style, int width,
            int height)
      : composition_(composition),
        style_(style),
        width_(width),
        height_(height),
        text_(CaptionHeight(style, width, height)) {}

  void Draw(const OverlayBox& box) {
    const int line = std::max(2, text_ / 6);
    const Rgb colour = ColourOf(box.label);
    const int right = box.x + box.width, bottom = box.y + box.height;
    Fill(box.x, box.y, right, box.y + line, colour);
    Fill(box.x, bottom - line, right, bottom, colour);
    Fill(box.x, box.y + line, box.x + line, bottom - line, colour);
    Fill(right - line, box.y + line, right, bottom - line, colour);
    if (!box.caption.empty()) Caption(box, colour);
  }

  GstVideoOverlayComposition* composition() const { return composition_; }

 private:
  void Add(GstVideoOverlayRectangle* rectangle) {
    if (rectangle == nullptr) return;
    if (composition_ == nullptr) {
      composition_ = gst_video_overlay_composition_new(rectangle);
    } else {
      composition_ = gst_video_overlay_composition_make_writable(composition_);
      gst_video_overlay_composition_add_rectangle(composition_, rectangle);
    }
    gst_video_overlay_rectangle_unref(rectangle);
  }

  void Fill(int left, int top, int right, int bottom, const Rgb& colour) {
    left = std::clamp(left, 0, width_);
    right = std::clamp(right, 0, width_);
    top = std::clamp(top, 0, height_);
    bottom = std::clamp(bottom, 0, height_);
    if (left >= right || top >= bottom) return;
    Add(DrawRectangle(left, top, right - left, bottom - top, [&](cairo_t* cairo) {
      cairo_set_source_rgba(cairo, colour.r, colour.g, colour.b, 0.9);
      cairo_paint(cairo);
    }));
  }

  // Above the box, or in it where there is no room above.
  void Caption(const OverlayBox& box, const Rgb& colour) {
    const int padding = std::max(2, text_ / 4);
    const int height = text_ + text_ / 2;
    int width = std::min(TextWidthOf(box.caption, style_, text_) + 2 * padding, width_);
    const int x = std::clamp(box.x, 0, std::max(0, width_ - width));
    const int y = box.y >= height ? box.y - height : std::max(0, box.y);
    if (y + height > height_ || width <= 2 * padding) return;
    Add(DrawRectangle(x, y, width, height, [&](cairo_t* cairo) {
      cairo_set_source_rgba(cairo, colour.r, colour.g, colour.b, 0.9);
      cairo_paint(cairo);
      cairo_set_source_rgba(cairo, 0.05, 0.06, 0.08, 1);
      DrawText(cairo, box.caption, style_, text_, padding, height, width - 2 * padding);
    }));
  }

  GstVideoOverlayComposition* composition_;
  const OverlayStyle& style_;
  const int width_, height_, text_;
};

}  // namespace

GstVideoOverlayComposition* AddBoxes(GstVideoOverlayComposition* composition,
                                     const std::vector<OverlayBox>& boxes,
                                     const OverlayStyle& style, int frame_width, int frame_height) {
  BoxDrawer drawer(composition, style, frame_width, frame_height);
  for (const OverlayBox& box : boxes) drawer.Draw(box);
  return drawer.composition();
}

}  // namespace cliptag
