// The tags as GstAnalytics classification; built from GStreamer 1.24 on.
#include <gst/analytics/analytics.h>

#include "plugin/elements/meta.h"
#include "tests/elements/gst_test.h"

namespace cliptag::test {
namespace {

TEST(Analytics, ClassificationBestFirst) {
  const BufferHolder buffer(gst_buffer_new());
  AttachAnalytics(buffer.get(), {{"dog", 0.75, 0, true}, {"cat", 0.25, 0, false}});
  AttachAnalytics(buffer.get(), {{"bird", 0.5, 0, true}});  // a second cliptag in a row
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

TEST(Analytics, NoTagsNoMeta) {
  const BufferHolder buffer(gst_buffer_new());
  AttachAnalytics(buffer.get(), {});
  EXPECT_EQ(gst_buffer_get_analytics_relation_meta(buffer.get()), nullptr);
}

}  // namespace
}  // namespace cliptag::test
