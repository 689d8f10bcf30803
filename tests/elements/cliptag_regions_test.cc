// Where in the picture: tiles, and objects that others have marked.
#include <gst/video/video.h>

#include "plugin/elements/meta.h"
#include "tests/elements/cliptag_fixture.h"

namespace cliptag::test {
namespace {

class RegionsTest : public ClipTagTest {
 protected:
  GstBuffer* WithRoi(guint64 n, guint x, guint y, guint w, guint h, int id) {
    GstBuffer* buffer = MakeFrame(n);
    GstVideoRegionOfInterestMeta* roi =
        gst_buffer_add_video_region_of_interest_meta(buffer, "person", x, y, w, h);
    roi->id = id;
    return buffer;
  }
};

TEST_F(RegionsTest, TilesAreAskedForWithTheirRows) {
  Set("fit", "tiles");
  Set("tile-rows", "3");
  PlayAndWait();
  Through(0);
  ASSERT_EQ(Fake().seen().size(), 1u);
  EXPECT_EQ(Fake().seen()[0].look, Look::kTiles);
  EXPECT_EQ(Fake().seen()[0].tile_rows, 3);
  EXPECT_EQ(Fake().seen()[0].fit, Fit::kModel);
  Set("fit", "squash");
  Through(1);
  EXPECT_EQ(Fake().seen()[1].look, Look::kFrame);
  EXPECT_EQ(Fake().seen()[1].fit, Fit::kSquash);
}

TEST_F(RegionsTest, MarkedObjectsGoToTheEngineWithTheirTracks) {
  Set("regions", "both");
  PlayAndWait();
  GstBuffer* buffer = WithRoi(0, 1, 2, 3, 4, 7);
  GstVideoRegionOfInterestMeta* tracked =
      gst_buffer_add_video_region_of_interest_meta(buffer, "car", 5, 6, 2, 1);
  tracked->id = 0;
  gst_video_region_of_interest_meta_add_param(
      tracked, gst_structure_new("object_id", "id", G_TYPE_INT, 42, nullptr));
  gst_buffer_add_video_region_of_interest_meta(buffer, "dog", 0, 0, G_MAXUINT, G_MAXUINT)->id = 0;
  ASSERT_EQ(gst_harness_push(harness_, buffer), GST_FLOW_OK);
  Pull();
  const auto seen = Fake().seen()[0];
  EXPECT_EQ(seen.look, Look::kFrameAndObjects);
  ASSERT_EQ(seen.objects.size(), 3u);
  EXPECT_EQ(seen.objects[0].rect, (Rect{1, 2, 3, 4}));
  EXPECT_EQ(seen.objects[0].id, 7);
  EXPECT_EQ(seen.objects[1].id, 42);
  EXPECT_EQ(seen.objects[2].id, -1);
  EXPECT_GT(seen.objects[2].rect.width, 1 << 20);
  Set("regions", "objects");
  Through(1);
  EXPECT_EQ(Fake().seen()[1].look, Look::kObjects);
  EXPECT_TRUE(Fake().seen()[1].objects.empty());
}

TEST(RegionsMeta, TagsOfAnObjectAreAttachedToIt) {
  GstBuffer* buffer = gst_buffer_new_allocate(nullptr, 16, nullptr);
  gst_buffer_add_video_region_of_interest_meta(buffer, "person", 1, 2, 3, 4);
  gst_buffer_add_video_region_of_interest_meta(buffer, "person", 9, 9, 3, 4);
  InferenceResult result;
  result.tags.push_back({.label = "of the frame", .score = 0.5});
  result.tags.push_back({.label = "of a tile", .score = 0.5, .region = {10, 20, 30, 40}});
  result.tags.push_back({.label = "helmet",
                         .score = 0.75,
                         .region = {1, 2, 2, 2},
                         .of_object = true,
                         .id = 7,
                         .marked_at = {1, 2, 3, 4}});
  ASSERT_TRUE(AttachResult(buffer, {}, result));

  GstCustomMeta* meta = gst_buffer_get_custom_meta(buffer, "GstCliptagMeta");
  ASSERT_NE(meta, nullptr);
  const GValue* tags = gst_structure_get_value(gst_custom_meta_get_structure(meta), "tags");
  ASSERT_EQ(gst_value_list_get_size(tags), 3u);
  const auto region_of = [&](guint i) {
    const GstStructure* tag = gst_value_get_structure(gst_value_list_get_value(tags, i));
    const GValue* region = gst_structure_get_value(tag, "region");
    return region != nullptr ? gst_value_get_structure(region) : nullptr;
  };
  EXPECT_EQ(region_of(0), nullptr);
  gint x = 0, y = 0, w = 0, h = 0;
  ASSERT_TRUE(gst_structure_get(region_of(1), "x", G_TYPE_INT, &x, "y", G_TYPE_INT, &y, "w",
                                G_TYPE_INT, &w, "h", G_TYPE_INT, &h, nullptr));
  EXPECT_EQ((Rect{x, y, w, h}), (Rect{10, 20, 30, 40}));
  EXPECT_FALSE(gst_structure_has_field(region_of(1), "id"));
  gint64 id = 0;
  ASSERT_TRUE(gst_structure_get_int64(region_of(2), "id", &id));
  EXPECT_EQ(id, 7);

  gpointer state = nullptr;
  int with_param = 0;
  while (GstMeta* m = gst_buffer_iterate_meta_filtered(
             buffer, &state, GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE)) {
    auto* roi = reinterpret_cast<GstVideoRegionOfInterestMeta*>(m);
    const GstStructure* param = gst_video_region_of_interest_meta_get_param(roi, "cliptag");
    if (param == nullptr) continue;
    ++with_param;
    EXPECT_EQ(roi->x, 1u);
    EXPECT_STREQ(gst_structure_get_string(param, "label"), "helmet");
  }
  EXPECT_EQ(with_param, 1);
  gst_buffer_unref(buffer);
}

}  // namespace
}  // namespace cliptag::test
