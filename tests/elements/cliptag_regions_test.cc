// Where in the picture: tiles, and objects that others have marked.
#include <gst/video/video.h>

#include "plugin/elements/meta/meta.h"
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
  EXPECT_TRUE(Fake().seen()[0].tiles);
  EXPECT_EQ(Fake().seen()[0].tile_rows, 3);
  EXPECT_EQ(Fake().seen()[0].fit, Fit::kModel);
  Set("fit", "squash");
  Through(1);
  EXPECT_FALSE(Fake().seen()[1].tiles);
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
  EXPECT_EQ(seen.regions, Regions::kBoth);
  EXPECT_FALSE(seen.tiles);
  ASSERT_EQ(seen.objects.size(), 3u);
  EXPECT_EQ(seen.objects[0].rect, (Rect{1, 2, 3, 4}));
  EXPECT_EQ(seen.objects[0].id, 7);
  EXPECT_FALSE(seen.objects[0].tracked) << "a detector's number";
  EXPECT_EQ(seen.objects[1].id, 42);
  EXPECT_TRUE(seen.objects[1].tracked);
  EXPECT_EQ(seen.objects[2].id, -1);
  EXPECT_GT(seen.objects[2].rect.width, 1 << 20);
  Set("regions", "objects");
  Through(1);
  EXPECT_EQ(Fake().seen()[1].regions, Regions::kObjects);
  EXPECT_TRUE(Fake().seen()[1].objects.empty());
}

TEST_F(RegionsTest, TilesStayTilesBesideObjects) {
  Set("regions", "both");
  Set("fit", "tiles");
  PlayAndWait();
  ASSERT_EQ(gst_harness_push(harness_, WithRoi(0, 1, 2, 3, 4, 7)), GST_FLOW_OK);
  Pull();
  EXPECT_EQ(Fake().seen()[0].regions, Regions::kBoth);
  EXPECT_TRUE(Fake().seen()[0].tiles);
  EXPECT_EQ(Fake().seen()[0].objects.size(), 1u);
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
                         .marked = {{1, 2, 3, 4}}});
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

// A buffer with these objects that has the tags of a frame in which they were seen as `seen`, one
// tag each, named by its number. Returns the labels on each of them.
std::string LabelsOn(const std::vector<ObjectRegion>& now, const std::vector<ObjectRegion>& seen) {
  const BufferHolder buffer(gst_buffer_new());
  for (const ObjectRegion& object : now) {
    const Rect& r = object.rect;
    GstVideoRegionOfInterestMeta* roi = gst_buffer_add_video_region_of_interest_meta(
        buffer.get(), "object", static_cast<guint>(r.x), static_cast<guint>(r.y),
        static_cast<guint>(r.width), static_cast<guint>(r.height));
    if (!object.tracked) {
      roi->id = static_cast<gint>(object.id);
      continue;
    }
    gst_video_region_of_interest_meta_add_param(
        roi,
        gst_structure_new("object_id", "id", G_TYPE_INT, static_cast<gint>(object.id), nullptr));
  }
  InferenceResult result;
  for (size_t i = 0; i < seen.size(); ++i) {
    result.tags.push_back({.label = std::to_string(i),
                           .of_object = true,
                           .marked = seen[i],
                           .track = static_cast<int64_t>(i)});
  }
  EXPECT_TRUE(AttachResult(buffer.get(), {}, result));
  std::string labels;
  gpointer state = nullptr;
  const GstMeta* first = nullptr;
  while (GstMeta* m = gst_buffer_iterate_meta_filtered(
             buffer.get(), &state, GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE)) {
    if (first == nullptr) first = m;
    if (m != first) labels += "|";
    for (GList* l = reinterpret_cast<GstVideoRegionOfInterestMeta*>(m)->params; l; l = l->next) {
      const auto* param = static_cast<const GstStructure*>(l->data);
      if (gst_structure_has_name(param, "cliptag"))
        labels += gst_structure_get_string(param, "label");
    }
  }
  return labels;
}

TEST(RegionsMeta, EachObjectHasItsOwnTagsAlsoOnLaterFrames) {
  const Rect left{0, 0, 100, 100}, near_left{30, 0, 100, 100}, right{500, 0, 100, 100};
  EXPECT_EQ(LabelsOn({{left}, {left}}, {{left}, {left}}), "0|1") << "two at one place";
  EXPECT_EQ(LabelsOn({{left, 7}, {right, 7}}, {{right, 7}, {left, 7}}), "1|0") << "one number";
  EXPECT_EQ(LabelsOn({{right, 7, true}}, {{left, 7, true}}), "0") << "a track that has moved far";
  EXPECT_EQ(LabelsOn({{near_left}}, {{left}}), "0") << "without numbers";
  EXPECT_EQ(LabelsOn({{near_left, 4001}}, {{left, 4000}}), "0") << "numbered anew in each frame";
  EXPECT_EQ(LabelsOn({{left, 2, true}}, {{left, 1, true}}), "") << "another one's track";
  EXPECT_EQ(LabelsOn({{left, 8}}, {{left, 7, false, true}}), "") << "a number that persisted";
  EXPECT_EQ(LabelsOn({{right}, {left}}, {{left}}), "|0") << "one has come";
  EXPECT_EQ(LabelsOn({{right, 1}}, {{left, 1}, {right, 2}}), "1")
      << "the first has gone, and all are counted anew";
}

TEST_F(RegionsTest, TheEndEndsTheTagsOfEachObject) {
  Set("regions", "objects");
  Set("threshold", "0.9");
  PlayAndWait();
  GstBuffer* buffer = WithRoi(0, 0, 0, 5, 5, 0);
  gst_buffer_add_video_region_of_interest_meta(buffer, "person", 9, 0, 5, 5)->id = 0;
  ASSERT_EQ(gst_harness_push(harness_, buffer), GST_FLOW_OK);
  Pull();
  ASSERT_TRUE(gst_harness_push_event(harness_, gst_event_new_eos()));
  int starts = 0, ends = 0;
  EXPECT_TRUE(WaitFor([&] {
    for (const MessagePtr& message : PopElementMessages(bus_, "cliptag-event")) {
      const char* state =
          gst_structure_get_string(gst_message_get_structure(message.get()), "state");
      ++(state == std::string("start") ? starts : ends);
    }
    return ends == 2;
  })) << "none of them has a number";
  EXPECT_EQ(starts, 2);
}

TEST_F(RegionsTest, TheEndOfAnObjectThatHadGoneIsWhenItWasSeen) {
  Set("regions", "objects");
  Set("threshold", "0.9");
  PlayAndWait();
  for (guint64 n = 0; n < 6; ++n) {
    GstBuffer* buffer = n < 3 ? WithRoi(n, 0, 0, 5, 5, 1) : MakeFrame(n);
    ASSERT_EQ(gst_harness_push(harness_, buffer), GST_FLOW_OK);
    Pull();
  }
  PopElementMessages(bus_, "cliptag-event");
  ASSERT_TRUE(gst_harness_push_event(harness_, gst_event_new_eos()));
  std::vector<MessagePtr> ends;
  ASSERT_TRUE(WaitFor([&] {
    ends = PopElementMessages(bus_, "cliptag-event");
    return !ends.empty();
  }));
  guint64 pts = 0, duration = 0;
  ASSERT_TRUE(gst_structure_get(gst_message_get_structure(ends[0].get()), "pts", G_TYPE_UINT64,
                                &pts, "duration", G_TYPE_UINT64, &duration, nullptr));
  EXPECT_EQ(pts, 2 * kFrame);
  EXPECT_EQ(duration, 2 * kFrame);
}

TEST_F(RegionsTest, InLiveModeAMovingObjectKeepsItsTags) {
  Set("mode", "live");
  Set("regions", "objects");
  Set("interval", "1000");
  Set("top-k", "1");
  PlayAndWait();
  int with_tags = 0;
  for (guint64 n = 0; n < 40; ++n) {
    const guint x = static_cast<guint>(3 * n);
    ASSERT_EQ(gst_harness_push(harness_, WithRoi(n, x, 0, 160, 160, 7)), GST_FLOW_OK);
    const BufferHolder out = Pull();
    if (n == 0) {
      ASSERT_TRUE(WaitFor([] { return Fake().answered() == 1; }));
      continue;
    }
    const GstVideoRegionOfInterestMeta* roi =
        gst_buffer_get_video_region_of_interest_meta_id(out.get(), 7);
    ASSERT_NE(roi, nullptr);
    auto* own = const_cast<GstVideoRegionOfInterestMeta*>(roi);
    if (gst_video_region_of_interest_meta_get_param(own, "cliptag") != nullptr) ++with_tags;
  }
  EXPECT_EQ(with_tags, 39);
}

}  // namespace
}  // namespace cliptag::test
