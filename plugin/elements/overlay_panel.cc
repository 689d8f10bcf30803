#include "plugin/elements/overlay_panel.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "plugin/elements/gstcliptagmeta.h"

namespace cliptag {
namespace {

constexpr size_t kMostBoxes = 64;

// No frame is as large: the sums of such numbers stay numbers.
bool IsPixel(int value) { return value > -(1 << 24) && value < (1 << 24); }

OverlayLine LineOf(const GstStructure* tag) {
  OverlayLine line;
  const gchar* label = gst_structure_get_string(tag, "label");
  gdouble score = 0;
  gboolean active = FALSE;
  gst_structure_get(tag, "score", G_TYPE_DOUBLE, &score, "active", G_TYPE_BOOLEAN, &active,
                    nullptr);
  line.label = label != nullptr ? label : "";
  line.percent =
      std::isfinite(score) ? static_cast<int>(std::lround(std::clamp(score, 0.0, 1.0) * 100)) : 0;
  line.active = active;
  return line;
}

}  // namespace

void OverlayPanel::Forget() {
  have_tags_ = false;
  tags_.clear();
  drawn_.reset();
  drawn_shown_ = {};
}

OverlayPanel::Seen OverlayPanel::SeenOf(const GstStructure* tag) {
  Seen seen;
  seen.line = LineOf(tag);
  const GValue* value = gst_structure_get_value(tag, "region");
  if (value == nullptr || !GST_VALUE_HOLDS_STRUCTURE(value)) return seen;
  const GstStructure* region = gst_value_get_structure(value);
  OverlayBox& box = seen.box;
  if (!gst_structure_get(region, "x", G_TYPE_INT, &box.x, "y", G_TYPE_INT, &box.y, "w", G_TYPE_INT,
                         &box.width, "h", G_TYPE_INT, &box.height, nullptr) ||
      box.width <= 0 || box.height <= 0 || !IsPixel(box.x) || !IsPixel(box.y) ||
      !IsPixel(box.width) || !IsPixel(box.height)) {
    box = {};
    return seen;
  }
  box.label = seen.line.label;
  seen.of_object = gst_structure_has_field(region, "id");
  return seen;
}

OverlayPanel::Shown OverlayPanel::WhatToShow(const OverlayProperties& properties) const {
  Shown shown;
  for (const Seen& seen : tags_) {
    if (!seen.line.active && !properties.show_inactive) continue;
    if (seen.of_object) {
      // Best first: the first one at a place is what the object is.
      const bool first = std::none_of(shown.boxes.begin(), shown.boxes.end(), [&](auto& other) {
        return other.x == seen.box.x && other.y == seen.box.y && other.width == seen.box.width &&
               other.height == seen.box.height;
      });
      if (!first || shown.boxes.size() == kMostBoxes) continue;
      shown.boxes.push_back(seen.box);
      shown.boxes.back().caption = seen.line.label + " " + std::to_string(seen.line.percent) + " %";
      continue;
    }
    if (seen.box.width > 0 && seen.line.active && shown.boxes.size() < kMostBoxes)
      shown.boxes.push_back(seen.box);
    if (properties.max_tags == 0 || shown.lines.size() < properties.max_tags)
      shown.lines.push_back(seen.line);
  }
  return shown;
}

void OverlayPanel::Look(GstBuffer* buffer, guint64 hold_ns) {
  gpointer state = nullptr;
  std::vector<Seen> found;
  bool any = false;
  while (const GstStructure* structure = gst_buffer_iterate_cliptag_meta(buffer, &state)) {
    any = true;
    for (guint i = 0; i < gst_cliptag_structure_n_tags(structure); ++i) {
      found.push_back(SeenOf(gst_cliptag_structure_get_tag(structure, i)));
    }
  }
  const guint64 pts = GST_BUFFER_PTS(buffer);
  if (any) {
    tags_ = std::move(found);
    have_tags_ = true;
    tags_pts_ = pts;
  } else if (have_tags_ && GST_CLOCK_TIME_IS_VALID(pts) && GST_CLOCK_TIME_IS_VALID(tags_pts_)) {
    const guint64 age = pts > tags_pts_ ? pts - tags_pts_ : tags_pts_ - pts;
    if (age > hold_ns) have_tags_ = false;
  }
}

GstVideoOverlayComposition* OverlayPanel::Draw(const OverlayProperties& properties, int width,
                                               int height) {
  if (!have_tags_) return nullptr;
  Shown shown = WhatToShow(properties);
  if (shown.lines.empty() && shown.boxes.empty()) return nullptr;
  const bool same = shown == drawn_shown_ && properties.style == drawn_style_ &&
                    width == drawn_width_ && height == drawn_height_;
  if (!same) {
    GstVideoOverlayComposition* panel =
        shown.lines.empty() ? nullptr : DrawOverlay(shown.lines, properties.style, width, height);
    drawn_.reset(AddBoxes(panel, shown.boxes, properties.style, width, height));
    drawn_shown_ = std::move(shown);
    drawn_style_ = properties.style;
    drawn_width_ = width;
    drawn_height_ = height;
  }
  return drawn_.get();
}

}  // namespace cliptag
