// Still or not, for every layout of samples.
#include "plugin/engine/still_picture.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace cliptag {
namespace {

FrameView Grey(const std::vector<uint8_t>& pixels, int width, int height) {
  FrameView view;
  view.kind = PixelKind::kGray;
  view.width = width;
  view.height = height;
  view.component[0] = {pixels.data(), width, 1};
  return view;
}

TEST(StillPicture, TheFirstFrameIsNotStill) {
  const std::vector<uint8_t> pixels(64 * 48, 10);
  StillPicture still;
  EXPECT_FALSE(still.Check(Grey(pixels, 64, 48), 0.5));
  EXPECT_TRUE(still.Check(Grey(pixels, 64, 48), 0.5));
  still.Forget();
  EXPECT_FALSE(still.Check(Grey(pixels, 64, 48), 0.5));
}

TEST(StillPicture, SlowChangesAddUpAgainstTheFrameThatWasKept) {
  StillPicture still;
  std::vector<uint8_t> pixels(64 * 48, 100);
  EXPECT_FALSE(still.Check(Grey(pixels, 64, 48), 0.02));
  int kept = 0;
  for (int step = 1; step <= 30; ++step) {
    std::fill(pixels.begin(), pixels.end(), static_cast<uint8_t>(100 + step));
    kept += still.Check(Grey(pixels, 64, 48), 0.02) ? 0 : 1;
  }
  EXPECT_EQ(kept, 5) << "every 0.02 x 255, which is 6 steps";
}

TEST(StillPicture, NoiseAveragesOut) {
  std::mt19937 random(1);
  std::normal_distribution<float> noise(0, 8);
  std::vector<uint8_t> a(640 * 360), b(a.size());
  for (size_t i = 0; i < a.size(); ++i) {
    a[i] = static_cast<uint8_t>(128 + noise(random));
    b[i] = static_cast<uint8_t>(128 + noise(random));
  }
  EXPECT_LT(Difference(ThumbnailOf(Grey(a, 640, 360)), ThumbnailOf(Grey(b, 640, 360))), 0.01);
}

TEST(StillPicture, TheDifferenceIsThatOfTheBrightness) {
  const std::vector<uint8_t> dark(100 * 60, 51), light(100 * 60, 102);
  EXPECT_NEAR(Difference(ThumbnailOf(Grey(dark, 100, 60)), ThumbnailOf(Grey(light, 100, 60))), 0.2,
              1e-5);
}

TEST(StillPicture, RgbAndTenBits) {
  std::vector<uint8_t> rgb(30 * 20 * 3);
  for (size_t i = 0; i < rgb.size(); i += 3) rgb[i] = 40, rgb[i + 1] = 80, rgb[i + 2] = 120;
  const Thumbnail of_rgb = ThumbnailOf(RgbView(rgb.data(), 90, 30, 20, RgbOrder::kRgb));
  for (const float cell : of_rgb.cells) EXPECT_NEAR(cell, 80.0 / 255, 1e-5);

  std::vector<uint16_t> words(30 * 20, 512 << 6);  // as P010 has them
  FrameView view;
  view.kind = PixelKind::kYuv;
  view.width = 30;
  view.height = 20;
  view.bytes_per_sample = 2;
  view.bits = 10;
  view.shift = 6;
  view.component[0] = {reinterpret_cast<const uint8_t*>(words.data()), 60, 2};
  for (const float cell : ThumbnailOf(view).cells) EXPECT_NEAR(cell, 512.0 / 1023, 1e-5);
}

TEST(StillPicture, OnlyTheCropCountsAndTinyFramesWork) {
  std::vector<uint8_t> pixels(64 * 48, 0);
  for (int y = 8; y < 24; ++y) std::fill_n(pixels.begin() + y * 64 + 16, 20, 255);
  FrameView view = Grey(pixels, 64, 48);
  view.crop = {16, 8, 20, 16};
  for (const float cell : ThumbnailOf(view).cells) EXPECT_NEAR(cell, 1, 1e-5);
  const std::vector<uint8_t> one(1, 255);
  for (const float cell : ThumbnailOf(Grey(one, 1, 1)).cells) EXPECT_NEAR(cell, 1, 1e-5);
}

}  // namespace
}  // namespace cliptag
