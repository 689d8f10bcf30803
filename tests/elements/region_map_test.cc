// Regions of tags behind elements that change the picture: in its pixels, or not there, and the
// tags themselves always.
#include "plugin/elements/meta/region_map.h"

#include <optional>

#include "plugin/elements/meta/gstcliptagmeta.h"
#include "plugin/elements/meta/meta.h"
#include "tests/elements/gst_test.h"

namespace cliptag::test {
namespace {

constexpr int kWidth = 320, kHeight = 240;
constexpr Rect kTile{40, 60, 160, 100};

BufferHolder Tagged() {
  GstBuffer* buffer = gst_buffer_new_allocate(nullptr, size_t{3} * kWidth * kHeight, nullptr);
  gst_buffer_memset(buffer, 0, 100, size_t{3} * kWidth * kHeight);
  GST_BUFFER_PTS(buffer) = 0;
  InferenceResult result;
  result.tags.push_back({.label = "of the frame", .score = 0.5});
  result.tags.push_back({.label = "of a tile", .score = 0.5, .region = kTile});
  result.tags.push_back({.label = "of an object",
                         .score = 0.5,
                         .region = {0, 0, 20, 10},
                         .of_object = true,
                         .id = 7});
  EXPECT_TRUE(AttachResult(buffer, {.model = "m"}, result));
  return BufferHolder(buffer);
}

// Of tag `index`; nothing if it has none.
std::optional<Rect> RegionOf(GstBuffer* buffer, guint index) {
  const GstStructure* structure = gst_buffer_get_cliptag_meta(buffer);
  if (structure == nullptr) return std::nullopt;
  EXPECT_EQ(gst_cliptag_structure_n_tags(structure), 3u);
  EXPECT_STREQ(gst_structure_get_string(structure, "model"), "m");
  const GstStructure* tag = gst_cliptag_structure_get_tag(structure, index);
  const GValue* value = gst_structure_get_value(tag, "region");
  if (value == nullptr) return std::nullopt;
  Rect r;
  EXPECT_TRUE(gst_structure_get(gst_value_get_structure(value), "x", G_TYPE_INT, &r.x, "y",
                                G_TYPE_INT, &r.y, "w", G_TYPE_INT, &r.width, "h", G_TYPE_INT,
                                &r.height, nullptr));
  return r;
}

// What `elements` make of a tagged frame.
BufferHolder Through(const std::string& elements) {
  GstHarness* harness = gst_harness_new_parse(elements.c_str());
  gst_harness_set_src_caps_str(harness, CapsOf("RGB", kWidth, kHeight).c_str());
  BufferHolder out(gst_harness_push_and_pull(harness, Tagged().release()));
  gst_harness_teardown(harness);
  EXPECT_NE(out, nullptr) << elements;
  return out;
}

// Elements that crop or turn describe it from this version on.
bool HasMatrix() {
  guint major = 0, minor = 0, micro = 0, nano = 0;
  gst_version(&major, &minor, &micro, &nano);
  return major > 1 || minor >= 28;
}

TEST(MapRegion, ScalesTurnsAndCuts) {
  EXPECT_EQ(MapRegion({}, kTile), kTile);
  EXPECT_EQ(MapRegion({.xx = 0.5, .yy = 0.25}, kTile), (Rect{20, 15, 80, 25}));
  EXPECT_EQ(MapRegion({.xx = -1, .x0 = 320, .width = 320, .height = 240}, kTile),
            (Rect{120, 60, 160, 100}));
  // 90 degrees clockwise: x' = 240 - y, y' = x.
  EXPECT_EQ(MapRegion({.xx = 0, .xy = -1, .x0 = 240, .yx = 1, .yy = 0}, kTile),
            (Rect{80, 40, 100, 160}));
  EXPECT_EQ(MapRegion({.x0 = -100, .width = 220, .height = 240}, kTile), (Rect{0, 60, 100, 100}));
  EXPECT_EQ(MapRegion({.x0 = -200, .width = 120, .height = 240}, kTile).width, 0);
}

TEST(RegionsFollow, CopiesOfABuffer) {
  const BufferHolder frame = Tagged();
  const BufferHolder shallow(gst_buffer_copy(frame.get()));
  const BufferHolder deep(gst_buffer_copy_deep(shallow.get()));
  for (const auto* buffer : {&frame, &shallow, &deep}) {
    EXPECT_EQ(RegionOf(buffer->get(), 0), std::nullopt);
    EXPECT_EQ(RegionOf(buffer->get(), 1), kTile);
    EXPECT_EQ(RegionOf(buffer->get(), 2), (Rect{0, 0, 20, 10}));
  }
}

TEST(RegionsFollow, Videoscale) {
  const BufferHolder half =
      Through("videoscale ! capsfilter caps=video/x-raw,width=160,height=120");
  EXPECT_EQ(RegionOf(half.get(), 0), std::nullopt);
  EXPECT_EQ(RegionOf(half.get(), 1), (Rect{20, 30, 80, 50}));
  EXPECT_EQ(RegionOf(half.get(), 2), (Rect{0, 0, 10, 5}));
  const BufferHolder twice = Through(
      "videoscale ! capsfilter caps=video/x-raw,width=160,height=120 ! videoscale ! "
      "capsfilter caps=video/x-raw,width=640,height=480");
  EXPECT_EQ(RegionOf(twice.get(), 1), (Rect{80, 120, 320, 200}));
  const BufferHolder borders = Through(
      "videoscale ! capsfilter caps=video/x-raw,width=640,height=240,pixel-aspect-ratio=1/1");
  EXPECT_EQ(RegionOf(borders.get(), 1), (Rect{200, 60, 160, 100})) << "between black borders";
  // The picture as high, but squeezed: its pixels are twice as wide, so there are no borders.
  const BufferHolder squeezed = Through(
      "videoscale ! capsfilter caps=video/x-raw,width=160,height=240,pixel-aspect-ratio=2/1");
  EXPECT_EQ(RegionOf(squeezed.get(), 1), (Rect{20, 60, 80, 100}));
}

TEST(RegionsFollow, Videoconvert) {
  const BufferHolder out = Through("videoconvert ! capsfilter caps=video/x-raw,format=I420");
  EXPECT_EQ(RegionOf(out.get(), 1), kTile);
}

TEST(RegionsFollow, WhatCropsOrTurnsOrAreLeftOut) {
  struct Case {
    const char* elements;
    std::optional<Rect> tile, object;
  };
  for (const Case& c :
       {Case{"videocrop left=100", Rect{0, 60, 100, 100}, std::nullopt},
        Case{"videocrop top=30 bottom=10", Rect{40, 30, 160, 100}, std::nullopt},
        Case{"videoflip video-direction=horiz", Rect{120, 60, 160, 100}, Rect{300, 0, 20, 10}},
        Case{"videoflip video-direction=90r", Rect{80, 40, 100, 160}, Rect{230, 0, 10, 20}},
        Case{"videoflip video-direction=180", Rect{120, 80, 160, 100}, Rect{300, 230, 20, 10}}}) {
    const BufferHolder out = Through(c.elements);
    ASSERT_NE(gst_buffer_get_cliptag_meta(out.get()), nullptr) << c.elements;
    EXPECT_EQ(RegionOf(out.get(), 1), HasMatrix() ? c.tile : std::nullopt) << c.elements;
    EXPECT_EQ(RegionOf(out.get(), 2), HasMatrix() ? c.object : std::nullopt) << c.elements;
  }
  // Once lost they stay so.
  const BufferHolder out =
      Through("videocrop left=200 ! videoscale ! capsfilter caps=video/x-raw,width=60,height=120");
  ASSERT_NE(gst_buffer_get_cliptag_meta(out.get()), nullptr);
  EXPECT_EQ(RegionOf(out.get(), 1), std::nullopt);
}

}  // namespace
}  // namespace cliptag::test
