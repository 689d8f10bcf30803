// GstAnalytics classification metadata, from GStreamer 1.24 on.
#include <gst/analytics/analytics.h>

#include <algorithm>
#include <atomic>
#include <span>
#include <vector>

#include "plugin/elements/meta/meta.h"

namespace cliptag {
namespace {

// A label as GStreamer names a class. GLib never frees a quark, so that prompts that keep changing
// would fill the memory: labels beyond the first 100,000 of the process get none (0).
GQuark QuarkOf(const std::string& label) {
  constexpr int kMostLabels = 100'000;
  static std::atomic<int> labels{0};
  const std::string text = ValidUtf8(label);
  const GQuark known = g_quark_try_string(text.c_str());
  if (known != 0 || labels >= kMostLabels) return known;
  ++labels;
  return g_quark_from_string(text.c_str());
}

// Empty where there is no location.
Rect RectOf(GstAnalyticsODMtd* object) {
  Rect rect;
  gfloat confidence = 0;
  if (!gst_analytics_od_mtd_get_location(object, &rect.x, &rect.y, &rect.width, &rect.height,
                                         &confidence))
    return {};
  return rect;
}

std::vector<GstAnalyticsODMtd> ObjectsIn(GstAnalyticsRelationMeta* relations) {
  std::vector<GstAnalyticsODMtd> objects;
  gpointer state = nullptr;
  GstAnalyticsODMtd object;
  while (gst_analytics_relation_meta_iterate(relations, &state, gst_analytics_od_mtd_get_mtd_type(),
                                             &object))
    objects.push_back(object);
  return objects;
}

void AddClassification(GstAnalyticsRelationMeta* relations, const std::vector<const Tag*>& tags,
                       GstAnalyticsODMtd* object) {
  std::vector<gfloat> scores;
  std::vector<GQuark> labels;
  for (const Tag* tag : tags) {
    const GQuark label = QuarkOf(tag->label);
    if (label == 0) continue;
    scores.push_back(static_cast<gfloat>(tag->score));
    labels.push_back(label);
  }
  GstAnalyticsClsMtd classification;
  if (labels.empty() ||
      !gst_analytics_relation_meta_add_cls_mtd(relations, labels.size(), scores.data(),
                                               labels.data(), &classification) ||
      object == nullptr) {
    return;
  }
  gst_analytics_relation_meta_set_relation(relations, GST_ANALYTICS_REL_TYPE_RELATE_TO, object->id,
                                           classification.id);
}

int64_t TrackOf(GstAnalyticsRelationMeta* relations, const GstAnalyticsODMtd& object) {
  gpointer state = nullptr;
  GstAnalyticsTrackingMtd track;
  if (!gst_analytics_relation_meta_get_direct_related(
          relations, object.id, GST_ANALYTICS_REL_TYPE_ANY,
          gst_analytics_tracking_mtd_get_mtd_type(), &state, &track))
    return -1;
  guint64 id = 0;
  GstClockTime first = 0, last = 0;
  gboolean lost = FALSE;
  if (!gst_analytics_tracking_mtd_get_info(&track, &id, &first, &last, &lost)) return -1;
  return static_cast<int64_t>(id & G_MAXINT64);
}

}  // namespace

void AttachAnalytics(GstBuffer* buffer, const std::vector<Tag>& tags,
                     std::span<const std::vector<const Tag*>> of_objects) {
  if (tags.empty()) return;
  // A buffer has one meta of relations; an analytics element upstream may have added it.
  GstAnalyticsRelationMeta* relations = gst_buffer_get_analytics_relation_meta(buffer);
  if (relations == nullptr) relations = gst_buffer_add_analytics_relation_meta(buffer);
  if (relations == nullptr) return;
  std::vector<const Tag*> of_frame;
  for (const Tag& tag : tags)
    if (!tag.of_object) of_frame.push_back(&tag);
  AddClassification(relations, of_frame, nullptr);

  // All objects before anything is added to them: adding may move them.
  std::vector<GstAnalyticsODMtd> objects = ObjectsIn(relations);
  for (size_t i = 0; i < std::min(objects.size(), of_objects.size()); ++i)
    AddClassification(relations, of_objects[i], &objects[i]);
}

void AppendAnalyticsObjects(GstBuffer* buffer, std::vector<ObjectRegion>* objects) {
  GstAnalyticsRelationMeta* relations = gst_buffer_get_analytics_relation_meta(buffer);
  if (relations == nullptr) return;
  for (GstAnalyticsODMtd& object : ObjectsIn(relations)) {
    const int64_t track = TrackOf(relations, object);
    objects->push_back({RectOf(&object), track, track >= 0});
  }
}

}  // namespace cliptag
