#include "plugin/elements/overlay_panel.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "plugin/elements/gstcliptagmeta.h"

namespace cliptag {
namespace {

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
  drawn_lines_.clear();
}

void OverlayPanel::Look(GstBuffer* buffer, guint64 hold_ns) {
  gpointer state = nullptr;
  std::vector<OverlayLine> found;
  bool any = false;
  while (const GstStructure* structure = gst_buffer_iterate_cliptag_meta(buffer, &state)) {
    any = true;
    for (guint i = 0; i < gst_cliptag_structure_n_tags(structure); ++i) {
      found.push_back(LineOf(gst_cliptag_structure_get_tag(structure, i)));
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
  std::vector<OverlayLine> lines;
  for (const OverlayLine& line : tags_) {
    if (properties.max_tags > 0 && lines.size() == properties.max_tags) break;
    if (line.active || properties.show_inactive) lines.push_back(line);
  }
  if (lines.empty()) return nullptr;
  const bool same = lines == drawn_lines_ && properties.style == drawn_style_ &&
                    width == drawn_width_ && height == drawn_height_;
  if (!same) {
    drawn_.reset(DrawOverlay(lines, properties.style, width, height));
    drawn_lines_ = std::move(lines);
    drawn_style_ = properties.style;
    drawn_width_ = width;
    drawn_height_ = height;
  }
  return drawn_.get();
}

}  // namespace cliptag
