#include "plugin/elements/overlay/boxes.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "plugin/elements/overlay/cairo.h"

namespace cliptag {
namespace {

// Text height from the frame's size, smaller than in the panel, since there may be many boxes.
int CaptionHeight(const OverlayStyle& style, const OverlayFrame& frame) {
  const int height = frame.seen_height();
  const double wanted = std::max(8.0, std::min(frame.seen_width(), height) * 0.028) * style.scale;
  return std::clamp(static_cast<int>(std::lround(wanted)), 6, std::max(6, height / 4));
}

bool Touch(const Rect& a, const Rect& b) {
  return a.width > 0 && b.width > 0 && a.x < b.x + b.width && b.x < a.x + a.width &&
         a.y < b.y + b.height && b.y < a.y + a.height;
}

class BoxDrawer {
 public:
  BoxDrawer(const OverlayStyle& style, const OverlayFrame& frame, const Rect& panel)
      : style_(style), frame_(frame), panel_(panel), text_(CaptionHeight(style, frame)) {}

  void DrawLines(const OverlayBox& box) {
    const int line = std::max(2, text_ / 6);
    const int across = std::max(1, static_cast<int>(std::lround(line * frame_.unit_x())));
    const int down = std::max(1, static_cast<int>(std::lround(line * frame_.unit_y())));
    const Rgb colour = ColourOf(box.label);
    const Rect& p = box.place;
    const int right = p.x + p.width, bottom = p.y + p.height;
    FillBesidePanel(p.x, p.y, right, p.y + down, colour);
    FillBesidePanel(p.x, bottom - down, right, bottom, colour);
    FillBesidePanel(p.x, p.y + down, p.x + across, bottom - down, colour);
    FillBesidePanel(right - across, p.y + down, right, bottom - down, colour);
  }

  void DrawCaption(const OverlayBox& box) {
    const int padding = std::max(2, text_ / 4);
    const int height = text_ + text_ / 2;
    // At most as wide as its box or a third of the frame, since it covers the picture.
    const int box_width = static_cast<int>(std::lround(box.place.width / frame_.unit_x()));
    const int most = std::max(std::min(box_width, frame_.seen_width()), frame_.seen_width() / 3);
    const int width = std::min(TextWidthOf(box.caption, style_, text_) + 2 * padding, most);
    if (width <= 2 * padding) return;
    const Rect size{0, 0, static_cast<int>(std::ceil(width * frame_.unit_x())),
                    static_cast<int>(std::ceil(height * frame_.unit_y()))};
    const std::optional<Rect> place = PlaceCaption(box.place, size);
    if (!place) return;
    captions_.push_back(*place);
    const Rgb colour = ColourOf(box.label);
    composition_.Add(DrawRectangle(*place, frame_, [&](cairo_t* cairo) {
      cairo_set_source_rgba(cairo, colour.r, colour.g, colour.b, 0.9);
      cairo_paint(cairo);
      cairo_set_source_rgba(cairo, 0.05, 0.06, 0.08, 1);
      DrawText(cairo, box.caption, style_, text_, padding, height, width - 2 * padding);
    }));
  }

  GstVideoOverlayComposition* Take() { return composition_.Take(); }

 private:
  // Tries above the box, inside it at the top and at the bottom, and below; at its left and its
  // right end, and beside the panel. Overlaps other captions only as the last resort.
  std::optional<Rect> PlaceCaption(const Rect& box, const Rect& size) const {
    const int most_x = frame_.width - size.width, most_y = frame_.height - size.height;
    if (most_x < 0 || most_y < 0) return std::nullopt;
    const int bottom = box.y + box.height;
    const int lines[] = {box.y - size.height, std::max(0, box.y), bottom - size.height, bottom};
    const int columns[] = {box.x, box.x + box.width - size.width, panel_.x + panel_.width,
                           panel_.x - size.width};
    for (const bool over_others : {false, true}) {
      for (const int y : lines) {
        if (y < 0 || y > most_y) continue;
        for (const int x : columns) {
          const Rect place{std::clamp(x, 0, most_x), y, size.width, size.height};
          if (Touch(place, panel_)) continue;
          const bool free = std::none_of(captions_.begin(), captions_.end(),
                                         [&](const Rect& other) { return Touch(place, other); });
          if (free || over_others) return place;
        }
      }
    }
    return std::nullopt;
  }

  void FillBesidePanel(int left, int top, int right, int bottom, const Rgb& colour) {
    const int panel_right = panel_.x + panel_.width, panel_bottom = panel_.y + panel_.height;
    if (!Touch({left, top, right - left, bottom - top}, panel_)) {
      Fill(left, top, right, bottom, colour);
      return;
    }
    const int inner_top = std::max(top, panel_.y), inner_bottom = std::min(bottom, panel_bottom);
    Fill(left, top, right, panel_.y, colour);
    Fill(left, panel_bottom, right, bottom, colour);
    Fill(left, inner_top, panel_.x, inner_bottom, colour);
    Fill(panel_right, inner_top, right, inner_bottom, colour);
  }

  void Fill(int left, int top, int right, int bottom, const Rgb& colour) {
    left = std::clamp(left, 0, frame_.width);
    right = std::clamp(right, 0, frame_.width);
    top = std::clamp(top, 0, frame_.height);
    bottom = std::clamp(bottom, 0, frame_.height);
    if (left >= right || top >= bottom) return;
    composition_.Add(
        DrawRectangle({left, top, right - left, bottom - top}, frame_, [&](cairo_t* cairo) {
          cairo_set_source_rgba(cairo, colour.r, colour.g, colour.b, 0.9);
          cairo_paint(cairo);
        }));
  }

  Composer composition_;
  const OverlayStyle& style_;
  const OverlayFrame& frame_;
  const Rect panel_;
  const int text_;  // in units, as all sizes
  std::vector<Rect> captions_;
};

}  // namespace

GstVideoOverlayComposition* DrawBoxes(const std::vector<OverlayBox>& boxes,
                                      const OverlayStyle& style, const OverlayFrame& frame,
                                      const Rect& panel) {
  BoxDrawer drawer(style, frame, panel);
  for (const OverlayBox& box : boxes) drawer.DrawLines(box);
  // After all lines, so that none runs through a caption.
  for (const OverlayBox& box : boxes)
    if (!box.caption.empty()) drawer.DrawCaption(box);
  return drawer.Take();
}

}  // namespace cliptag
