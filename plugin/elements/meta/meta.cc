#include "plugin/elements/meta/meta.h"

#include <gst/video/video.h>

#include <algorithm>

#include "plugin/elements/meta/gstcliptagmeta.h"
#include "plugin/elements/meta/region_map.h"

namespace cliptag {
namespace {

GstStructure* MakeTagStructure(const char* name, const Tag& tag) {
  return gst_structure_new(name, "label", G_TYPE_STRING, ValidUtf8(tag.label).c_str(), "score",
                           G_TYPE_DOUBLE, tag.score, "cosine", G_TYPE_DOUBLE, tag.cosine, "active",
                           G_TYPE_BOOLEAN, static_cast<gboolean>(tag.active), nullptr);
}

void AppendTag(GValue* list, const Tag& tag) {
  GstStructure* structure = MakeTagStructure("tag", tag);
  if (tag.region.width > 0) {
    GstStructure* region = gst_structure_new(
        "region", "x", G_TYPE_INT, tag.region.x, "y", G_TYPE_INT, tag.region.y, "w", G_TYPE_INT,
        tag.region.width, "h", G_TYPE_INT, tag.region.height, nullptr);
    if (tag.of_object)
      gst_structure_set(region, "id", G_TYPE_INT64, static_cast<gint64>(tag.id), nullptr);
    gst_structure_set(structure, "region", GST_TYPE_STRUCTURE, region, nullptr);
    gst_structure_free(region);
  }
  GValue value = G_VALUE_INIT;
  g_value_init(&value, GST_TYPE_STRUCTURE);
  g_value_take_boxed(&value, structure);
  gst_value_list_append_and_take_value(list, &value);
}

Rect RectOf(const GstVideoRegionOfInterestMeta* roi) {
  // Unsigned there; what exceeds an int lies outside of any frame.
  const auto clamp = [](guint value) {
    return static_cast<int>(std::min<guint>(value, G_MAXINT / 2));
  };
  return {clamp(roi->x), clamp(roi->y), clamp(roi->w), clamp(roi->h)};
}

template <typename F>
void ForEachRegion(GstBuffer* buffer, F&& f) {
  gpointer state = nullptr;
  while (GstMeta* meta = gst_buffer_iterate_meta_filtered(
             buffer, &state, GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE))
    f(reinterpret_cast<GstVideoRegionOfInterestMeta*>(meta));
}

ObjectRegion ObjectOf(GstVideoRegionOfInterestMeta* roi) {
  GstStructure* tracked = gst_video_region_of_interest_meta_get_param(roi, "object_id");
  gint id = -1;
  if (tracked != nullptr && gst_structure_get_int(tracked, "id", &id) && id >= 0)
    return {RectOf(roi), id, true};
  // Detectors that give no ids leave 0 or less.
  return {RectOf(roi), roi->id > 0 ? roi->id : -1, false};
}

// The tags of each object that is marked on this buffer, in the order of ObjectsOf(). In live mode
// the tags are those of an earlier buffer.
std::vector<std::vector<const Tag*>> TagsOfObjects(GstBuffer* buffer,
                                                   const std::vector<Tag>& tags) {
  std::vector<ObjectRegion> seen;
  std::vector<std::vector<const Tag*>> of_seen;
  const Tag* last = nullptr;
  for (const Tag& tag : tags) {
    if (!tag.of_object) continue;
    if (last == nullptr || last->track != tag.track || last->marked != tag.marked) {
      seen.push_back(tag.marked);
      of_seen.emplace_back();
    }
    of_seen.back().push_back(&tag);
    last = &tag;
  }
  if (seen.empty()) return {};
  const std::vector<ObjectRegion> marked = ObjectsOf(buffer);
  const std::vector<int> matches = MatchRegions(marked, seen);
  std::vector<std::vector<const Tag*>> of_marked(marked.size());
  for (size_t i = 0; i < marked.size(); ++i) {
    if (matches[i] >= 0) of_marked[i] = of_seen[matches[i]];
  }
  return of_marked;
}

// Returns how many of the objects are regions of interest.
size_t AttachToRegions(GstBuffer* buffer,
                       const std::vector<std::vector<const Tag*>>& tags_of_objects) {
  size_t next = 0;
  ForEachRegion(buffer, [&](GstVideoRegionOfInterestMeta* roi) {
    if (next >= tags_of_objects.size()) return;
    for (const Tag* tag : tags_of_objects[next++])
      gst_video_region_of_interest_meta_add_param(roi, MakeTagStructure("cliptag", *tag));
  });
  return next;
}

void FillStructure(GstStructure* structure, const ResultContext& context,
                   const InferenceResult& result) {
  gst_structure_set(structure, "pts", G_TYPE_UINT64, context.pts, "stream-time", G_TYPE_UINT64,
                    context.stream_time, "frame", G_TYPE_UINT64, result.frame_number, "model",
                    G_TYPE_STRING, context.model.c_str(), "age", G_TYPE_UINT64, context.age,
                    nullptr);
  GValue tags = G_VALUE_INIT;
  g_value_init(&tags, GST_TYPE_LIST);
  for (const Tag& tag : result.tags) AppendTag(&tags, tag);
  gst_structure_take_value(structure, "tags", &tags);
  if (context.attach_embedding && !result.embedding.empty()) {
    GBytes* bytes = g_bytes_new(result.embedding.data(), result.embedding.size() * sizeof(float));
    gst_structure_set(structure, "embedding", G_TYPE_BYTES, bytes, nullptr);
    g_bytes_unref(bytes);
  }
}

}  // namespace

std::string ValidUtf8(const std::string& text) {
  gchar* valid = g_utf8_make_valid(text.data(), static_cast<gssize>(text.size()));
  std::string result(valid);
  g_free(valid);
  return result;
}

std::vector<ObjectRegion> ObjectsOf(GstBuffer* buffer) {
  std::vector<ObjectRegion> objects;
  ForEachRegion(buffer,
                [&](GstVideoRegionOfInterestMeta* roi) { objects.push_back(ObjectOf(roi)); });
  AppendAnalyticsObjects(buffer, &objects);
  return objects;
}

GstStructure* MakeResultStructure(const char* name, const ResultContext& context,
                                  const InferenceResult& result) {
  GstStructure* structure = gst_structure_new_empty(name);
  FillStructure(structure, context, result);
  return structure;
}

GstStructure* MakeEventStructure(const TagEvent& event) {
  GstStructure* structure = gst_structure_new(
      "cliptag-event", "label", G_TYPE_STRING, ValidUtf8(event.label).c_str(), "state",
      G_TYPE_STRING, event.start ? "start" : "end", "pts", G_TYPE_UINT64,
      static_cast<guint64>(event.at.pts_ns), "score", G_TYPE_DOUBLE, event.score, nullptr);
  if (event.of_object) {
    gst_structure_set(structure, "id", G_TYPE_INT64, static_cast<gint64>(event.id), nullptr);
  }
  if (!event.start) {
    gst_structure_set(structure, "duration", G_TYPE_UINT64, static_cast<guint64>(event.duration_ns),
                      "peak", G_TYPE_DOUBLE, event.peak, nullptr);
  }
  return structure;
}

bool AttachResult(GstBuffer* buffer, const ResultContext& context, const InferenceResult& result) {
  if (std::any_of(result.tags.begin(), result.tags.end(),
                  [](const Tag& tag) { return tag.region.width > 0; }))
    MarkPlace(buffer);
  GstCustomMeta* meta = gst_buffer_add_custom_meta(buffer, GST_CLIPTAG_META_NAME);
  if (meta == nullptr) return false;
  FillStructure(gst_custom_meta_get_structure(meta), context, result);
  const std::vector<std::vector<const Tag*>> of_objects = TagsOfObjects(buffer, result.tags);
  const size_t regions = AttachToRegions(buffer, of_objects);
  AttachAnalytics(buffer, result.tags, std::span(of_objects).subspan(regions));
  if (context.attach_embedding) AttachTensor(buffer, result.embedding);
  return true;
}

}  // namespace cliptag
