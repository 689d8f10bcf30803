// GstAnalytics classification metadata, from GStreamer 1.24 on.
#include <gst/analytics/analytics.h>

#include "plugin/elements/meta.h"

namespace cliptag {

void AttachAnalytics(GstBuffer* buffer, const std::vector<Tag>& tags) {
  if (tags.empty()) return;
  // Another analytics element may have been here before: relations live in one meta per buffer.
  GstAnalyticsRelationMeta* relations = gst_buffer_get_analytics_relation_meta(buffer);
  if (relations == nullptr) relations = gst_buffer_add_analytics_relation_meta(buffer);
  if (relations == nullptr) return;
  std::vector<gfloat> scores;
  std::vector<GQuark> labels;
  for (const Tag& tag : tags) {
    scores.push_back(static_cast<gfloat>(tag.score));
    labels.push_back(g_quark_from_string(tag.label.c_str()));
  }
  GstAnalyticsClsMtd classification;
  gst_analytics_relation_meta_add_cls_mtd(relations, tags.size(), scores.data(), labels.data(),
                                          &classification);
}

}  // namespace cliptag
