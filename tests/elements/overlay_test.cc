// `cliptagoverlay`: what it draws, when, and that it touches nothing else.
#include <gst/controller/gstdirectcontrolbinding.h>
#include <gst/controller/gstinterpolationcontrolsource.h>

#include <tuple>

#include "tests/elements/overlay_fixture.h"

namespace cliptag::test {
namespace {

TEST_F(OverlayTest, PixelsChangeInThePanelAndNowhereElseInEveryFormat) {
  const std::vector<OverlayLine> lines = {{"dog", 75, true}, {"cat", 25, false}};
  const GstVideoRectangle panel = PanelBox(lines, {}, 320, 240);
  for (const char* format : {"I420", "YV12", "NV12", "NV21", "YUY2", "UYVY", "RGB", "BGR", "RGBx",
                             "ARGB", "GRAY8", "P010_10LE", "Y444", "v210"}) {
    SCOPED_TRACE(format);
    Play(format);
    const BufferHolder out = Through(MakeFrame(0), TwoTags());
    ASSERT_TRUE(out);
    if (std::string(format) == "v210") {  // packed in bits: no components to look at
      EXPECT_TRUE(Changed(out.get()));
      continue;
    }
    const GstVideoRectangle box = ChangedBox(out.get());
    // One pixel of slack where chroma is shared.
    EXPECT_GE(box.x, panel.x - 1);
    EXPECT_GE(box.y, panel.y - 1);
    EXPECT_LE(box.x + box.w, panel.x + panel.w + 1);
    EXPECT_LE(box.y + box.h, panel.y + panel.h + 1);
    EXPECT_GT(box.w, panel.w * 9 / 10);
    EXPECT_GT(box.h, panel.h * 9 / 10);
  }
}

TEST_F(OverlayTest, ControlledPropertiesFollowTheTimeOfFrames) {
  Play("RGB", 640, 480);
  GstElement* overlay = gst_harness_find_element(harness_, "cliptagoverlay");
  GstControlSource* source = gst_interpolation_control_source_new();
  g_object_set(source, "mode", GST_INTERPOLATION_MODE_NONE, nullptr);
  auto* values = GST_TIMED_VALUE_CONTROL_SOURCE(source);
  gst_timed_value_control_source_set(values, 0, 1);
  gst_timed_value_control_source_set(values, GST_SECOND, 2);
  ASSERT_TRUE(gst_object_add_control_binding(
      GST_OBJECT(overlay),
      gst_direct_control_binding_new_absolute(GST_OBJECT(overlay), "max-tags", source)));
  const int one = ChangedBox(Through(MakeFrame(0), TwoTags()).get()).h;
  const int two = ChangedBox(Through(MakeFrame(GST_SECOND), TwoTags()).get()).h;
  EXPECT_GT(two, one);
  gst_object_unref(source);
  gst_object_unref(overlay);
}

TEST_F(OverlayTest, BoxesOfAnotherSizeAreNotHeld) {
  const Rect object{300, 200, 100, 50};
  Play("RGB", 640, 480);
  Through(MakeFrame(0),
          {{.label = "dog", .score = 0.75, .active = true, .region = object, .of_object = true}});
  EXPECT_TRUE(Changed(Through(MakeFrame(1)).get()));
  gst_harness_set_src_caps_str(harness_, CapsOf("RGB", 320, 240).c_str());
  gst_video_info_set_format(&info_, GST_VIDEO_FORMAT_RGB, 320, 240);
  EXPECT_FALSE(Changed(Through(MakeFrame(2)).get()));
}

TEST_F(OverlayTest, CapsNeedNoFramerate) {
  Play();
  const std::string caps = "video/x-raw,format=RGB,width=320,height=240";
  gst_harness_set_src_caps_str(harness_, caps.c_str());
  EXPECT_TRUE(Changed(Through(MakeFrame(0), TwoTags()).get()));
}

TEST_F(OverlayTest, WithoutTagsTheFrameIsNotTouched) {
  Play();
  BufferHolder in = MakeFrame(0);
  GstMemory* memory = gst_buffer_peek_memory(in.get(), 0);
  const BufferHolder out = Through(std::move(in));
  EXPECT_EQ(gst_buffer_peek_memory(out.get(), 0), memory);
  EXPECT_FALSE(Changed(out.get()));
}

TEST_F(OverlayTest, TagsHoldForAWhileAndNotAcrossAFlush) {
  Play("RGB", 320, 240, "hold=1000000000");
  EXPECT_TRUE(Changed(Through(MakeFrame(0), TwoTags()).get()));
  EXPECT_TRUE(Changed(Through(MakeFrame(900 * GST_MSECOND)).get()));
  EXPECT_FALSE(Changed(Through(MakeFrame(1100 * GST_MSECOND)).get()));
  EXPECT_TRUE(Changed(Through(MakeFrame(1200 * GST_MSECOND), TwoTags()).get()));
  gst_harness_push_event(harness_, gst_event_new_flush_start());
  gst_harness_push_event(harness_, gst_event_new_flush_stop(TRUE));
  GstSegment segment;
  gst_segment_init(&segment, GST_FORMAT_TIME);
  gst_harness_push_event(harness_, gst_event_new_segment(&segment));
  EXPECT_FALSE(Changed(Through(MakeFrame(1300 * GST_MSECOND)).get()));
}

TEST_F(OverlayTest, LinesAreThoseAskedFor) {
  const auto height = [&](const std::string& properties) {
    Play("RGB", 640, 480, properties);
    return ChangedBox(Through(MakeFrame(0), TwoTags()).get()).h;
  };
  const int both = height("");
  const int one = height("max-tags=1");
  EXPECT_LT(one, both);
  EXPECT_EQ(height("show-inactive=false"), one);
  EXPECT_EQ(height("max-tags=0"), both);
  Play("RGB", 640, 480, "show-inactive=false");
  EXPECT_FALSE(Changed(Through(MakeFrame(0), {{"cat", 0.1, 0.1, false}}).get()));
}

TEST_F(OverlayTest, ATileOfAnActiveTagIsABoxAndItsTagALine) {
  const Rect tile{300, 200, 120, 120};
  Play("RGB", 640, 480);
  const std::vector<Tag> panel_only = {{.label = "dog", .score = 0.75, .active = true}};
  const GstVideoRectangle panel = ChangedBox(Through(MakeFrame(0), panel_only).get());
  std::vector<Tag> tags = panel_only;
  tags[0].region = tile;
  const GstVideoRectangle with_box = ChangedBox(Through(MakeFrame(1), tags).get());
  EXPECT_EQ(with_box.x, panel.x);
  EXPECT_EQ(with_box.x + with_box.w, tile.x + tile.width);
  EXPECT_EQ(with_box.y + with_box.h, tile.y + tile.height);
  tags[0].active = false;
  const GstVideoRectangle inactive = ChangedBox(Through(MakeFrame(2), tags).get());
  EXPECT_EQ(inactive.h, panel.h);
}

TEST_F(OverlayTest, AnObjectIsABoxWithItsBestTagAndNoLine) {
  Play("RGB", 640, 480);
  const Rect object{300, 200, 100, 50};
  const std::vector<Tag> tags = {
      {.label = "dog", .score = 0.75, .active = true, .region = object, .of_object = true},
      {.label = "cat", .score = 0.5, .region = object, .of_object = true}};
  const GstVideoRectangle box = ChangedBox(Through(MakeFrame(0), tags).get());
  EXPECT_EQ(box.x, object.x);
  EXPECT_LT(box.y, object.y) << "the caption lies above";
  EXPECT_GT(box.y, object.y - 60);
  EXPECT_EQ(box.y + box.h, object.y + object.height);
  // The picture inside stays as it is.
  Play("GRAY8", 640, 480);
  const BufferHolder out = Through(MakeFrame(0), tags);
  GstMapInfo map;
  ASSERT_TRUE(gst_buffer_map(out.get(), &map, GST_MAP_READ));
  EXPECT_EQ(map.data[225 * 640 + 350], kValue);
  EXPECT_NE(map.data[200 * 640 + 350], kValue);
  gst_buffer_unmap(out.get(), &map);
  // At the top the caption lies inside; boxes beyond the frame are cut, and nothing else is drawn.
  Play("RGB", 640, 480);
  std::vector<Tag> at_the_top = tags;
  for (Tag& tag : at_the_top) tag.region = {600, 0, 100, 50};
  const GstVideoRectangle top = ChangedBox(Through(MakeFrame(0), at_the_top).get());
  EXPECT_EQ(top.y, 0);
  EXPECT_EQ(top.x + top.w, 640);
  EXPECT_EQ(top.h, 50);
  for (Tag& tag : at_the_top) tag.region = {G_MAXINT - 5, G_MAXINT - 5, 4, 4};
  Through(MakeFrame(1), at_the_top);
}

TEST_F(OverlayTest, DownstreamThatDrawsGetsTheCompositionAndUntouchedPixels) {
  Play();
  gst_harness_add_propose_allocation_meta(harness_, GST_VIDEO_OVERLAY_COMPOSITION_META_API_TYPE,
                                          nullptr);
  ASSERT_TRUE(gst_harness_push_upstream_event(harness_, gst_event_new_reconfigure()));
  // Something upstream wants drawn as well.
  BufferHolder in = MakeFrame(0);
  const CompositionPtr theirs(DrawOverlay({.lines = {{"theirs", 5, true}}}, {}, {320, 240, {}}));
  gst_buffer_add_video_overlay_composition_meta(in.get(), theirs.get());
  const BufferHolder first = Through(std::move(in), TwoTags());
  EXPECT_FALSE(Changed(first.get()));
  GstVideoOverlayCompositionMeta* meta = gst_buffer_get_video_overlay_composition_meta(first.get());
  ASSERT_NE(meta, nullptr);
  EXPECT_EQ(gst_video_overlay_composition_n_rectangles(meta->overlay), 2u);

  // Tags that look the same are not drawn again: the renderer may keep what it has uploaded.
  const auto seqnum = [&](const std::vector<Tag>& tags) {
    const BufferHolder out = Through(MakeFrame(1), tags);
    return gst_video_overlay_composition_get_seqnum(
        gst_buffer_get_video_overlay_composition_meta(out.get())->overlay);
  };
  const guint before = seqnum(TwoTags());
  std::vector<Tag> tags = TwoTags();
  tags[0].score += 0.001;
  EXPECT_EQ(seqnum(tags), before);
  tags[0].score += 0.1;
  EXPECT_NE(seqnum(tags), before);
}

// A renderer gets rectangles in the pixels of its own frames, or none.
TEST_F(OverlayTest, NoCompositionIsHandedOnThroughWhatChangesTheSize) {
  for (const auto& [between, handed_on] :
       {std::pair{" ! videoscale ! capsfilter caps=video/x-raw,width=160,height=120", false},
        {" ! videocrop left=100", false},
        {" ! videoflip video-direction=horiz", false},
        {" ! queue", true},
        {" ! videoscale", true},
        {" ! videoconvert", true}}) {
    SCOPED_TRACE(between);
    if (harness_ != nullptr) gst_harness_teardown(harness_);
    harness_ = gst_harness_new_parse((std::string("cliptagoverlay") + between).c_str());
    gst_harness_add_propose_allocation_meta(harness_, GST_VIDEO_OVERLAY_COMPOSITION_META_API_TYPE,
                                            nullptr);
    gst_video_info_set_format(&info_, GST_VIDEO_FORMAT_GRAY8, 320, 240);
    gst_harness_set_src_caps_str(harness_, CapsOf("GRAY8", 320, 240).c_str());
    const BufferHolder out = Through(MakeFrame(0), TwoTags());
    EXPECT_EQ(gst_buffer_get_video_overlay_composition_meta(out.get()) != nullptr, handed_on);
    EXPECT_EQ(Changed(out.get()), !handed_on);
  }
}

TEST_F(OverlayTest, SmallFramesAndStrangeLabels) {
  for (const int size : {1, 2, 7, 16, 31}) {
    Play("I420", size, size);
    EXPECT_TRUE(Through(MakeFrame(0), TwoTags())) << size;
  }
  Play("RGB", 320, 240);
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_TRUE(Changed(Through(MakeFrame(0), {{"\xff\xfe not UTF-8", 0.5, 0, true},
                                             {std::string(4000, 'w'), 2.0, 0, false},
                                             {"", nan, 0, true},
                                             {"犬 🐕 كلب", -1, 0, true}})
                          .get()));
}

TEST_F(OverlayTest, CapsChangeInTheMiddle) {
  Play("RGB", 320, 240);
  EXPECT_TRUE(Changed(Through(MakeFrame(0), TwoTags()).get()));
  gst_harness_set_src_caps_str(harness_, CapsOf("I420", 640, 480).c_str());
  gst_video_info_set_format(&info_, GST_VIDEO_FORMAT_I420, 640, 480);
  const BufferHolder out = Through(MakeFrame(1));  // held tags, new size
  EXPECT_GT(ChangedBox(out.get()).w, 0);
}

}  // namespace
}  // namespace cliptag::test
