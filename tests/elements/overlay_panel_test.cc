// The panel and captions of `cliptagoverlay`: their place, size and lines.
#include <chrono>
#include <cmath>
#include <limits>
#include <tuple>

#include "plugin/elements/overlay/cairo.h"
#include "tests/elements/overlay_fixture.h"

namespace cliptag::test {
namespace {

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

TEST(OverlayColour, IsStableAndDiffers) {
  const Rgb dog = ColourOf("dog"), again = ColourOf("dog"), cat = ColourOf("cat");
  EXPECT_EQ(dog.r, again.r);
  EXPECT_EQ(dog.g, again.g);
  EXPECT_EQ(dog.b, again.b);
  EXPECT_GT(std::fabs(dog.r - cat.r) + std::fabs(dog.g - cat.g) + std::fabs(dog.b - cat.b), 0.1);
}

}  // namespace
}  // namespace cliptag::test
