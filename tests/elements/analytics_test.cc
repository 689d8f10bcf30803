// The tags as GstAnalytics classification; built from GStreamer 1.24 on.
#include <gst/analytics/analytics.h>

#include "plugin/elements/meta/meta.h"
#include "plugin/elements/meta/region_map.h"
#include "tests/elements/gst_test.h"

namespace cliptag::test {
namespace {

TEST(Analytics, ClassificationBestFirst) {
  const BufferHolder buffer(gst_buffer_new());
  AttachAnalytics(buffer.get(), {{"dog", 0.75, 0, true}, {"cat", 0.25, 0, false}}, {});
  AttachAnalytics(buffer.get(), {{"bird", 0.5, 0, true}}, {});  // a second cliptag in a row
  GstAnalyticsRelationMeta* meta = gst_buffer_get_analytics_relation_meta(buffer.get());
  ASSERT_NE(meta, nullptr);
  ASSERT_EQ(gst_analytics_relation_get_length(meta), 2u);
  GstAnalyticsClsMtd classification;
  ASSERT_TRUE(gst_analytics_relation_meta_get_cls_mtd(meta, 0, &classification));
  ASSERT_EQ(gst_analytics_cls_mtd_get_length(&classification), 2u);
  EXPECT_EQ(gst_analytics_cls_mtd_get_quark(&classification, 0), g_quark_from_string("dog"));
  EXPECT_FLOAT_EQ(gst_analytics_cls_mtd_get_level(&classification, 0), 0.75f);
  EXPECT_EQ(gst_analytics_cls_mtd_get_quark(&classification, 1), g_quark_from_string("cat"));
  EXPECT_FLOAT_EQ(gst_analytics_cls_mtd_get_level(&classification, 1), 0.25f);
}

TEST(Analytics, LabelsAreUtf8) {
  const BufferHolder buffer(gst_buffer_new());
  AttachAnalytics(buffer.get(), {{"caf\xe9", 0.75, 0, true}}, {});
  GstAnalyticsRelationMeta* meta = gst_buffer_get_analytics_relation_meta(buffer.get());
  ASSERT_NE(meta, nullptr);
  GstAnalyticsClsMtd classification;
  ASSERT_TRUE(gst_analytics_relation_meta_get_cls_mtd(meta, 0, &classification));
  const GQuark label = gst_analytics_cls_mtd_get_quark(&classification, 0);
  EXPECT_STREQ(g_quark_to_string(label), "caf\xef\xbf\xbd") << "as in GstCliptagMeta";
}

TEST(Analytics, ObjectsAreFoundWithTheirTracksAndGetTheirTags) {
  RegisterMetas();
  const BufferHolder buffer(gst_buffer_new());
  GstAnalyticsRelationMeta* meta = gst_buffer_add_analytics_relation_meta(buffer.get());
  GstAnalyticsODMtd tracked, other;
  const GQuark person = g_quark_from_string("person");
  ASSERT_TRUE(gst_analytics_relation_meta_add_od_mtd(meta, person, 1, 2, 30, 40, 0.9f, &tracked));
  ASSERT_TRUE(gst_analytics_relation_meta_add_od_mtd(meta, person, 50, 60, 7, 8, 0.9f, &other));
  GstAnalyticsTrackingMtd track;
  ASSERT_TRUE(gst_analytics_relation_meta_add_tracking_mtd(meta, 77, 0, &track));
  ASSERT_TRUE(gst_analytics_relation_meta_set_relation(meta, GST_ANALYTICS_REL_TYPE_RELATE_TO,
                                                       tracked.id, track.id));
  const std::vector<ObjectRegion> objects = ObjectsOf(buffer.get());
  ASSERT_EQ(objects.size(), 2u);
  EXPECT_EQ(objects[0].rect, (Rect{1, 2, 30, 40}));
  EXPECT_EQ(objects[0].id, 77);
  EXPECT_TRUE(objects[0].tracked);
  EXPECT_EQ(objects[1].rect, (Rect{50, 60, 7, 8}));
  EXPECT_EQ(objects[1].id, -1);
  EXPECT_FALSE(objects[1].tracked);

  const Rect cut{1, 2, 20, 40};
  InferenceResult result;
  result.tags = {{.label = "street", .score = 0.5},
                 {.label = "helmet",
                  .score = 0.75,
                  .region = cut,
                  .of_object = true,
                  .id = 77,
                  .marked = {{500, 500, 30, 40}, 77, true}}};  // it has moved since
  ASSERT_TRUE(AttachResult(buffer.get(), {}, result));
  gpointer state = nullptr;
  GstAnalyticsClsMtd own;
  ASSERT_TRUE(gst_analytics_relation_meta_get_direct_related(
      meta, tracked.id, GST_ANALYTICS_REL_TYPE_RELATE_TO, gst_analytics_cls_mtd_get_mtd_type(),
      &state, &own));
  ASSERT_EQ(gst_analytics_cls_mtd_get_length(&own), 1u);
  EXPECT_EQ(gst_analytics_cls_mtd_get_quark(&own, 0), g_quark_from_string("helmet"));
  EXPECT_FLOAT_EQ(gst_analytics_cls_mtd_get_level(&own, 0), 0.75f);
  state = nullptr;
  EXPECT_FALSE(gst_analytics_relation_meta_get_direct_related(
      meta, other.id, GST_ANALYTICS_REL_TYPE_RELATE_TO, gst_analytics_cls_mtd_get_mtd_type(),
      &state, &own));
  // And the frame's own, of nobody.
  int classifications = 0;
  state = nullptr;
  while (
      gst_analytics_relation_meta_iterate(meta, &state, gst_analytics_cls_mtd_get_mtd_type(), &own))
    ++classifications;
  EXPECT_EQ(classifications, 2);
}

TEST(Analytics, NoTagsNoMeta) {
  const BufferHolder buffer(gst_buffer_new());
  AttachAnalytics(buffer.get(), {}, {});
  EXPECT_EQ(gst_buffer_get_analytics_relation_meta(buffer.get()), nullptr);
}

}  // namespace
}  // namespace cliptag::test
