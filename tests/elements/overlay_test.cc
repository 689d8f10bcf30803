// `cliptagoverlay`: what it draws, where, when, and that it touches nothing else.
#include <gst/controller/gstdirectcontrolbinding.h>
#include <gst/controller/gstinterpolationcontrolsource.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <tuple>

#include "plugin/elements/meta/meta.h"
#include "plugin/elements/overlay/cairo.h"
#include "plugin/elements/overlay/draw.h"
#include "plugin/elements/overlay/panel.h"
#include "plugin/gst/frame_view.h"
#include "tests/elements/gst_test.h"

namespace cliptag::test {
namespace {

std::vector<Tag> TwoTags() { return {{"dog", 0.75, 0.3, true}, {"cat", 0.25, 0.1, false}}; }

class OverlayTest : public ::testing::Test {
 protected:
  void Play(const std::string& format = "RGB", int width = 320, int height = 240,
            const std::string& properties = "") {
    if (harness_ != nullptr) gst_harness_teardown(harness_);
    harness_ = gst_harness_new_parse(("cliptagoverlay " + properties).c_str());
    ASSERT_NE(harness_, nullptr);
    const std::string caps = CapsOf(format, width, height);
    GstCaps* parsed = gst_caps_from_string(caps.c_str());
    ASSERT_TRUE(gst_video_info_from_caps(&info_, parsed));
    gst_caps_unref(parsed);
    gst_harness_set_src_caps_str(harness_, caps.c_str());
  }
  void TearDown() override {
    if (harness_ != nullptr) gst_harness_teardown(harness_);
  }

  // A frame of one value.
  BufferHolder MakeFrame(guint64 pts) {
    GstBuffer* buffer = gst_buffer_new_allocate(nullptr, info_.size, nullptr);
    gst_buffer_memset(buffer, 0, kValue, info_.size);
    GST_BUFFER_PTS(buffer) = pts;
    return BufferHolder(buffer);
  }

  BufferHolder Through(BufferHolder frame, const std::vector<Tag>& tags = {}) {
    if (!tags.empty()) {
      InferenceResult result;
      result.tags = tags;
      EXPECT_TRUE(AttachResult(frame.get(), {}, result));
    }
    return BufferHolder(gst_harness_push_and_pull(harness_, frame.release()));
  }

  bool Changed(GstBuffer* buffer) {
    GstMapInfo map;
    EXPECT_TRUE(gst_buffer_map(buffer, &map, GST_MAP_READ));
    bool changed = false;
    for (gsize i = 0; i < map.size && !changed; ++i) changed = map.data[i] != kValue;
    gst_buffer_unmap(buffer, &map);
    return changed;
  }

  // The box of pixels that are not what MakeFrame() made, looking at every component.
  GstVideoRectangle ChangedBox(GstBuffer* buffer) {
    GstVideoFrame frame;
    EXPECT_TRUE(gst_video_frame_map(&frame, &info_, buffer, GST_MAP_READ));
    int x0 = info_.width, y0 = info_.height, x1 = -1, y1 = -1;
    const Result<FrameView> view = MakeFrameView(frame, Orientation::kRotate0);
    EXPECT_TRUE(view.ok());
    for (int c = 0; c < (view->kind == PixelKind::kGray ? 1 : 3); ++c) {
      const Component& samples = view->component[c];
      const bool chroma = view->kind == PixelKind::kYuv && c > 0;
      const int shift_x = chroma ? view->chroma_shift_x : 0;
      const int shift_y = chroma ? view->chroma_shift_y : 0;
      for (int y = 0; y < info_.height >> shift_y; ++y) {
        for (int x = 0; x < info_.width >> shift_x; ++x) {
          // The low byte of a word may be rounded when its line is unpacked and packed again.
          if (samples.data[y * samples.row_stride + x * samples.pixel_stride +
                           view->bytes_per_sample - 1] == kValue) {
            continue;
          }
          x0 = std::min(x0, x << shift_x);
          y0 = std::min(y0, y << shift_y);
          x1 = std::max(x1, ((x + 1) << shift_x) - 1);
          y1 = std::max(y1, ((y + 1) << shift_y) - 1);
        }
      }
    }
    gst_video_frame_unmap(&frame);
    return {x0, y0, x1 - x0 + 1, y1 - y0 + 1};
  }

  static GstVideoRectangle PanelBox(const std::vector<OverlayLine>& lines,
                                    const OverlayStyle& style, int width, int height) {
    return PanelBox({.lines = lines}, style, {width, height, {}});
  }
  // The panel comes last.
  static GstVideoRectangle PanelBox(const OverlayContent& content, const OverlayStyle& style,
                                    const OverlayFrame& frame) {
    const CompositionPtr composition(DrawOverlay(content, style, frame));
    EXPECT_TRUE(composition);
    return BoxAt(composition.get(),
                 gst_video_overlay_composition_n_rectangles(composition.get()) - 1);
  }
  static GstVideoRectangle BoxAt(GstVideoOverlayComposition* composition, guint i) {
    GstVideoRectangle box{};
    guint w = 0, h = 0;
    gst_video_overlay_rectangle_get_render_rectangle(
        gst_video_overlay_composition_get_rectangle(composition, i), &box.x, &box.y, &w, &h);
    box.w = static_cast<int>(w);
    box.h = static_cast<int>(h);
    return box;
  }

  static constexpr guint8 kValue = 200;
  GstHarness* harness_ = nullptr;
  GstVideoInfo info_;
};

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

TEST_F(OverlayTest, EveryCornerAndScale) {
  struct Case {
    const char* position;
    bool right, bottom;
  };
  for (const Case& c : {Case{"top-left", false, false}, Case{"top-right", true, false},
                        Case{"bottom-left", false, true}, Case{"bottom-right", true, true}}) {
    SCOPED_TRACE(c.position);
    Play("RGB", 640, 480, std::string("position=") + c.position);
    const GstVideoRectangle box = ChangedBox(Through(MakeFrame(0), TwoTags()).get());
    EXPECT_EQ(box.x > 640 - box.x - box.w, c.right);
    EXPECT_EQ(box.y > 480 - box.y - box.h, c.bottom);
  }
  Play("RGB", 640, 480);
  const GstVideoRectangle normal = ChangedBox(Through(MakeFrame(0), TwoTags()).get());
  Play("RGB", 640, 480, "scale=2");
  const GstVideoRectangle large = ChangedBox(Through(MakeFrame(0), TwoTags()).get());
  EXPECT_GT(large.h, normal.h * 3 / 2);
}

TEST_F(OverlayTest, GrowsWithTheFrame) {
  const std::vector<OverlayLine> lines = {{"dog", 75, true}, {"cat", 25, false}};
  const GstVideoRectangle small = PanelBox(lines, {}, 320, 240);
  const GstVideoRectangle large = PanelBox(lines, {}, 3840, 2160);
  EXPECT_GE(small.h, 2 * 12) << "lines of fewer than twelve pixels cannot be read";
  EXPECT_NEAR(static_cast<double>(large.h) / 2160, static_cast<double>(small.h) / 240, 0.05);
}

TEST_F(OverlayTest, IsAsWideForEveryTagAndWithinAThirdAndAQuarter) {
  const std::vector<OverlayLine> few = {{"a", 1, false}};
  std::vector<OverlayLine> many;
  for (int i = 0; i < 30; ++i)
    many.push_back({"a person who rides a bicycle, number " + std::to_string(i), 100 - i, true});
  for (const auto& [width, height, pixel] : {std::tuple{320, 240, PixelAspect()},
                                             {640, 360, {}},
                                             {1280, 720, {}},
                                             {1920, 1080, {}},
                                             {3840, 2160, {}},
                                             {720, 1280, {}},
                                             {480, 640, {}},
                                             {7680, 720, {}},
                                             {960, 1080, {2, 1}},
                                             {720, 576, {64, 45}},
                                             {160, 120, {}}}) {
    SCOPED_TRACE(std::to_string(width) + "x" + std::to_string(height));
    const OverlayFrame frame{width, height, pixel};
    const GstVideoRectangle small = PanelBox({.lines = few}, {}, frame);
    const GstVideoRectangle large = PanelBox({.title = "gate", .lines = many}, {}, frame);
    EXPECT_EQ(small.w, large.w);
    EXPECT_LE(3 * large.w, width);
    EXPECT_LE(4 * large.h, height);
    EXPECT_GE(large.h, small.h);
    EXPECT_GE(small.x, 0);
    EXPECT_GE(small.y, 0);
  }
  // Five lines, which is what cliptag lists, fit where text has more than its least size.
  const std::vector<OverlayLine> five(many.begin(), many.begin() + 5);
  const std::vector<OverlayLine> four(many.begin(), many.begin() + 4);
  for (const auto& [width, height] : {std::pair{1280, 720}, {1920, 1080}, {3840, 2160}})
    EXPECT_GT(PanelBox(five, {}, width, height).h, PanelBox(four, {}, width, height).h);
}

TEST_F(OverlayTest, PixelsThatAreNotSquareMakeItNarrowerSoThatItIsSeenAsItIs) {
  const std::vector<OverlayLine> lines = {{"dog", 75, true}};
  const GstVideoRectangle square = PanelBox(lines, {}, 1920, 1080);
  const GstVideoRectangle wide = PanelBox({.lines = lines}, {}, {960, 1080, {2, 1}});
  EXPECT_EQ(wide.w, square.w / 2);
  EXPECT_EQ(wide.h, square.h);
  const GstVideoRectangle high = PanelBox({.lines = lines}, {}, {1920, 540, {1, 2}});
  EXPECT_EQ(high.w, square.w);
  EXPECT_EQ(high.h, square.h / 2);
  for (const PixelAspect pixel : {PixelAspect{65535, 1}, {1, 65535}})
    CompositionPtr(DrawOverlay({.lines = lines, .boxes = {{{5, 5, 50, 50}, true, "a", "a"}}}, {},
                               {640, 480, pixel}));
}

TEST_F(OverlayTest, TheTitleIsThereWithoutTagsToo) {
  Play("RGB", 640, 480);
  EXPECT_FALSE(Changed(Through(MakeFrame(0)).get()));
  Play("RGB", 640, 480, "title=gate");
  const GstVideoRectangle title = ChangedBox(Through(MakeFrame(0)).get());
  EXPECT_GT(title.w, 0);
  const GstVideoRectangle both = ChangedBox(Through(MakeFrame(1), TwoTags()).get());
  EXPECT_EQ(both.w, title.w);
  EXPECT_GT(both.h, title.h * 2);
}

TEST_F(OverlayTest, LinesChangePlacesOnlyWhenOneIsClearlyAhead) {
  Play("RGB", 640, 480);
  OverlayPanel panel;
  const auto order = [&](const std::vector<std::pair<const char*, double>>& tags) {
    BufferHolder frame = MakeFrame(0);
    InferenceResult result;
    for (const auto& [label, score] : tags)
      result.tags.push_back({.label = label, .score = score, .active = score > 0.9});
    EXPECT_TRUE(AttachResult(frame.get(), {}, result));
    panel.Update(frame.get(), GST_SECOND);
    std::string labels;
    for (const OverlayLine& line : panel.WhatToShow({}).lines) labels += line.label;
    return labels;
  };
  EXPECT_EQ(order({{"a", 0.5}, {"b", 0.5}, {"c", 0.3}}), "abc");
  EXPECT_EQ(order({{"b", 0.5}, {"a", 0.5}, {"c", 0.3}}), "abc") << "a tie";
  EXPECT_EQ(order({{"b", 0.502}, {"a", 0.501}, {"c", 0.3}}), "abc") << "both read 50 %";
  EXPECT_EQ(order({{"b", 0.52}, {"a", 0.50}, {"c", 0.3}}), "abc") << "hardly ahead";
  EXPECT_EQ(order({{"b", 0.55}, {"a", 0.50}, {"c", 0.3}}), "bac");
  EXPECT_EQ(order({{"a", 0.56}, {"b", 0.55}, {"c", 0.3}}), "bac");
  EXPECT_EQ(order({{"c", 0.95}, {"d", 0.6}, {"b", 0.5}, {"a", 0.5}}), "cdba");
  // A few percent are no line; what has one keeps it a little longer; active tags have theirs.
  EXPECT_EQ(order({{"c", 0.95}, {"b", 0.5}, {"a", 0.02}, {"e", 0.02}}), "cba");
  EXPECT_EQ(order({{"c", 0.95}, {"b", 0.5}, {"a", 0.01}, {"e", 0.03}}), "cbe");
  EXPECT_EQ(order({{"f", 0.004}}), "");
}

TEST_F(OverlayTest, CaptionsOfTilesLieBesideThePanel) {
  const OverlayFrame frame{640, 480, {}};
  const OverlayContent content{.lines = {{"dog", 75, true}, {"cat", 60, true}},
                               .boxes = {{{0, 0, 300, 300}, false, "dog", "dog 75 %"},
                                         {{0, 0, 200, 200}, false, "cat", "cat 60 %"},
                                         {{5, 5, 60, 30}, true, "bird", "bird 50 %"}}};
  const GstVideoRectangle panel = PanelBox(content, {}, frame);
  const CompositionPtr composition(DrawOverlay(content, {}, frame));
  const guint count = gst_video_overlay_composition_n_rectangles(composition.get());
  int captions = 0;
  for (guint i = 0; i + 1 < count; ++i) {
    const GstVideoRectangle r = BoxAt(composition.get(), i);
    EXPECT_TRUE(r.x + r.w <= panel.x || r.y + r.h <= panel.y || r.x >= panel.x + panel.w ||
                r.y >= panel.y + panel.h)
        << r.x << "," << r.y << " " << r.w << "x" << r.h;
    if (std::min(r.w, r.h) > 10) ++captions;
  }
  EXPECT_EQ(captions, 3);
}

TEST_F(OverlayTest, CaptionsAreNoWiderThanTheirBoxOrAThird) {
  Play("RGB", 640, 480);
  const auto width_at = [&](const Rect& region) {
    const Tag tag{.label = std::string(100, 'w'),
                  .score = 0.5,
                  .active = true,
                  .region = region,
                  .of_object = true};
    return ChangedBox(Through(MakeFrame(0), {tag}).get()).w;
  };
  EXPECT_EQ(width_at({100, 100, 50, 50}), 640 / 3);
  EXPECT_EQ(width_at({100, 100, 400, 50}), 400);
  EXPECT_EQ(width_at({100, 100, 4000, 50}), 640) << "cut by the frame";
}

TEST_F(OverlayTest, LabelsAreCutBeforeTheyAreLaidOut) {
  EXPECT_EQ(Drawable("dog"), "dog");
  const std::string cut = Drawable(std::string(30'000'000, 'w'));
  EXPECT_EQ(g_utf8_strlen(cut.c_str(), -1), kMostCharacters + 1);
  std::string japanese;
  for (int i = 0; i < 300; ++i) japanese += "犬";
  EXPECT_EQ(g_utf8_strlen(Drawable(japanese).c_str(), -1), kMostCharacters + 1);
  EXPECT_TRUE(g_utf8_validate(Drawable("\xff\xfe").c_str(), -1, nullptr));
  Play("RGB", 640, 480);
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_TRUE(Changed(Through(MakeFrame(0), {{.label = std::string(30'000'000, 'w'),
                                              .score = 0.5,
                                              .active = true,
                                              .region = {300, 200, 100, 100}}})
                          .get()));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5));
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

TEST(OverlayColour, IsStableAndDiffers) {
  const Rgb dog = ColourOf("dog"), again = ColourOf("dog"), cat = ColourOf("cat");
  EXPECT_EQ(dog.r, again.r);
  EXPECT_EQ(dog.g, again.g);
  EXPECT_EQ(dog.b, again.b);
  EXPECT_GT(std::fabs(dog.r - cat.r) + std::fabs(dog.g - cat.g) + std::fabs(dog.b - cat.b), 0.1);
}

}  // namespace
}  // namespace cliptag::test
