#include "plugin/elements/overlay/panel.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <string_view>
#include <utility>

#include "plugin/elements/meta/gstcliptagmeta.h"
#include "plugin/elements/overlay/cairo.h"

namespace cliptag {
namespace {

constexpr size_t kMostBoxes = 64;
constexpr ptrdiff_t kMostArranged = 256;  // lines that are sorted; no panel shows more

// Percent: needed for a new line, and to keep a line; and by how much a line must be ahead to
// overtake another.
constexpr int kLeastToCome = 3, kLeastToStay = 2, kLead = 3;

// Larger than any frame, and small enough that sums do not overflow.
bool IsPixel(int value) { return value > -(1 << 24) && value < (1 << 24); }

OverlayLine LineOf(const GstStructure* tag) {
  OverlayLine line;
  const gchar* label = gst_structure_get_string(tag, "label");
  gdouble score = 0;
  gboolean active = FALSE;
  gst_structure_get(tag, "score", G_TYPE_DOUBLE, &score, "active", G_TYPE_BOOLEAN, &active,
                    nullptr);
  line.label = Drawable(label != nullptr ? label : "");
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
  drawn_content_ = {};
}

void OverlayPanel::ForgetPlaces() {
  std::erase_if(tags_, [](const Seen& seen) { return seen.of_object; });
  for (Seen& seen : tags_) seen.place = {};
}

OverlayPanel::Seen OverlayPanel::SeenOf(const GstStructure* tag) {
  Seen seen;
  seen.line = LineOf(tag);
  const GValue* value = gst_structure_get_value(tag, "region");
  if (value == nullptr || !GST_VALUE_HOLDS_STRUCTURE(value)) return seen;
  const GstStructure* region = gst_value_get_structure(value);
  Rect& place = seen.place;
  if (!gst_structure_get(region, "x", G_TYPE_INT, &place.x, "y", G_TYPE_INT, &place.y, "w",
                         G_TYPE_INT, &place.width, "h", G_TYPE_INT, &place.height, nullptr) ||
      place.width <= 0 || place.height <= 0 || !IsPixel(place.x) || !IsPixel(place.y) ||
      !IsPixel(place.width) || !IsPixel(place.height)) {
    place = {};
    return seen;
  }
  seen.of_object = gst_structure_has_field(region, "id");
  return seen;
}

void OverlayPanel::Arrange(std::vector<Seen>* found) const {
  // The labels of the last lines, from the top.
  std::map<std::string_view, size_t> before;
  for (const Seen& seen : tags_)
    if (!seen.of_object) before.emplace(seen.line.label, before.size());
  std::erase_if(*found, [&](const Seen& seen) {
    const int least = before.contains(seen.line.label) ? kLeastToStay : kLeastToCome;
    return !seen.of_object && !seen.line.active && seen.line.percent < least;
  });
  const auto objects = std::stable_partition(found->begin(), found->end(),
                                             [](const Seen& seen) { return !seen.of_object; });
  const auto lines_end =
      found->begin() + std::min<ptrdiff_t>(objects - found->begin(), kMostArranged);
  const auto rank = [&](const Seen& seen) {
    const auto known = before.find(seen.line.label);
    return known == before.end() ? before.size() : known->second;
  };
  std::stable_sort(found->begin(), lines_end,
                   [&](const Seen& a, const Seen& b) { return rank(a) < rank(b); });
  // A line moves above those that it is clearly ahead of, a new one above all with a lower score.
  for (auto line = found->begin(); line != lines_end; ++line) {
    const int lead = before.contains(line->line.label) ? kLead : 1;
    for (auto at = line; at != found->begin(); --at) {
      if (at->line.percent < (at - 1)->line.percent + lead) break;
      std::iter_swap(at, at - 1);
    }
  }
}

OverlayContent OverlayPanel::WhatToShow(const OverlayProperties& properties) const {
  OverlayContent shown;
  shown.title = properties.title;
  for (const Seen& seen : tags_) {
    if (!have_tags_ || (!seen.line.active && !properties.show_inactive)) continue;
    const std::string caption = seen.line.label + " " + std::to_string(seen.line.percent) + " %";
    const auto same = std::find_if(shown.boxes.begin(), shown.boxes.end(), [&](auto& other) {
      return other.place == seen.place && other.of_object == seen.of_object;
    });
    const bool first = same == shown.boxes.end();
    // The best are first: an object gets only the first tag of its place, a tile may have several.
    if (seen.place.width > 0 && first && shown.boxes.size() < kMostBoxes &&
        (seen.of_object || seen.line.active)) {
      shown.boxes.push_back({seen.place, seen.of_object, seen.line.label, caption});
    } else if (!first && !seen.of_object && seen.line.active &&
               same->caption.size() < size_t{kMostCharacters}) {
      same->caption += ", " + caption;
    }
    if (seen.of_object) continue;
    if (properties.max_tags == 0 || shown.lines.size() < properties.max_tags)
      shown.lines.push_back(seen.line);
  }
  return shown;
}

void OverlayPanel::Update(GstBuffer* buffer, guint64 hold_ns) {
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
    Arrange(&found);
    tags_ = std::move(found);
    have_tags_ = true;
    tags_pts_ = pts;
  } else if (have_tags_ && GST_CLOCK_TIME_IS_VALID(pts) && GST_CLOCK_TIME_IS_VALID(tags_pts_)) {
    const guint64 age = pts > tags_pts_ ? pts - tags_pts_ : tags_pts_ - pts;
    if (age > hold_ns) have_tags_ = false;
  }
}

GstVideoOverlayComposition* OverlayPanel::Draw(const OverlayProperties& properties,
                                               const OverlayFrame& frame) {
  OverlayContent content = WhatToShow(properties);
  if (content == OverlayContent()) return nullptr;
  const bool same =
      content == drawn_content_ && properties.style == drawn_style_ && frame == drawn_frame_;
  if (!same) {
    drawn_.reset(DrawOverlay(content, properties.style, frame));
    drawn_content_ = std::move(content);
    drawn_style_ = properties.style;
    drawn_frame_ = frame;
  }
  return drawn_.get();
}

}  // namespace cliptag
