// Corruptions: the same everywhere, worse with every strength, and what each of them is.
#include "plugin/cli/eval/corruptions/corruptions.h"

#include <gtest/gtest.h>

#include <cmath>
#include <opencv2/core.hpp>
#include <set>
#include <string>

namespace cliptag {
namespace {

// A picture with structure of every size, darker than bright.
cv::Mat Scene(int width = 192, int height = 128) {
  cv::Mat picture(height, width, CV_8UC3);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      for (int channel = 0; channel < 3; ++channel) {
        double value = 90;
        for (const double period : {3.1, 7.3, 17.9, 41.3, 97.0}) {
          value += 12 * std::sin((x + channel * 11) / period * 2.1 + y / period * (channel + 1));
        }
        picture.at<cv::Vec3b>(y, x)[channel] = static_cast<uint8_t>(value);
      }
    }
  }
  return picture;
}

double Distance(const cv::Mat& a, const cv::Mat& b) {
  return cv::norm(a, b, cv::NORM_L1) / (3.0 * a.rows * a.cols);
}

TEST(Corruptions, TheTableIsInTheOrderOfKinds) {
  ASSERT_EQ(8u, CorruptionKinds().size());
  std::set<std::string> names;
  for (size_t i = 0; i < CorruptionKinds().size(); ++i) {
    EXPECT_EQ(i, static_cast<size_t>(CorruptionKinds()[i].kind));
    names.insert(CorruptionKinds()[i].name);
  }
  EXPECT_EQ(8u, names.size());
}

TEST(Corruptions, EachStrengthIsWorseThanTheOneBefore) {
  const cv::Mat scene = Scene(), before = scene.clone();
  for (const CorruptionKind& kind : CorruptionKinds()) {
    double last = 0.5;
    for (int strength = 1; strength <= kStrengths; ++strength) {
      const cv::Mat out = Corrupt(scene, kind.kind, strength, 3);
      ASSERT_EQ(scene.size(), out.size()) << kind.name;
      ASSERT_EQ(CV_8UC3, out.type()) << kind.name;
      const double distance = Distance(scene, out);
      // Turning is as far from the picture at 26 degrees as at 38.
      if (kind.kind != Corruption::kRotation) {
        EXPECT_GT(distance, last) << kind.name << strength;
      }
      EXPECT_GT(distance, 0.5) << kind.name << strength;
      last = distance;
    }
  }
  EXPECT_EQ(0, Distance(before, scene)) << "the picture itself stays";
}

TEST(Corruptions, TheSeedDecidesAndNothingElse) {
  const cv::Mat scene = Scene();
  for (const CorruptionKind& kind : CorruptionKinds()) {
    const cv::Mat once = Corrupt(scene, kind.kind, 3, 11), again = Corrupt(scene, kind.kind, 3, 11);
    EXPECT_EQ(0, Distance(once, again)) << kind.name;
  }
  for (const Corruption kind : {Corruption::kNoise, Corruption::kFog, Corruption::kLowLight}) {
    EXPECT_GT(Distance(Corrupt(scene, kind, 3, 11), Corrupt(scene, kind, 3, 12)), 0.1);
  }
  std::set<uint64_t> seeds;
  for (const char* name : {"cat/1.png", "cat/2.png"}) {
    for (const CorruptionKind& kind : CorruptionKinds()) {
      for (int strength = 1; strength <= kStrengths; ++strength) {
        seeds.insert(SeedOf(1, name, kind.kind, strength));
      }
    }
  }
  EXPECT_EQ(2u * 8 * kStrengths, seeds.size());
  EXPECT_NE(SeedOf(1, "a", Corruption::kFog, 2), SeedOf(2, "a", Corruption::kFog, 2));
}

// The numbers are part of what is published: they must not change with a library or a compiler.
TEST(Corruptions, NoiseIsTheSameOnEveryMachine) {
  const cv::Mat grey(1, 4, CV_8UC3, cv::Scalar::all(128));
  const cv::Mat noisy = Corrupt(grey, Corruption::kNoise, 3, 42);
  std::string values;
  for (int i = 0; i < 12; ++i) values += std::to_string(noisy.ptr<uint8_t>(0)[i]) + " ";
  EXPECT_EQ("139 108 76 90 114 77 130 91 159 129 109 103 ", values);
}

TEST(Corruptions, NoiseHasTheDeviationThatIsSaid) {
  const cv::Mat grey(200, 200, CV_8UC3, cv::Scalar::all(128));
  cv::Scalar mean, deviation;
  cv::meanStdDev(Corrupt(grey, Corruption::kNoise, 2, 5), mean, deviation);
  for (int channel = 0; channel < 3; ++channel) {
    EXPECT_NEAR(128, mean[channel], 0.5);
    EXPECT_NEAR(22, deviation[channel], 0.5);
  }
}

TEST(Corruptions, BrightnessLowLightAndFogAreWhatTheySay) {
  const cv::Mat grey(32, 32, CV_8UC3, cv::Scalar(10, 100, 240));
  EXPECT_EQ(cv::Vec3b(40, 130, 255),
            Corrupt(grey, Corruption::kBrightness, 1, 0).at<cv::Vec3b>(5, 5));
  cv::Scalar mean, deviation;
  cv::meanStdDev(Corrupt(grey, Corruption::kLowLight, 1, 0), mean, deviation);
  EXPECT_NEAR(50, mean[1], 0.6);
  EXPECT_NEAR(120, mean[2], 0.6);
  // Contrast between two pictures in the same fog is what is left of them.
  const cv::Mat bright(32, 32, CV_8UC3, cv::Scalar::all(200));
  const cv::Mat dark(32, 32, CV_8UC3, cv::Scalar::all(100));
  EXPECT_NEAR(
      100 * (1 - 0.55),
      Distance(Corrupt(bright, Corruption::kFog, 3, 9), Corrupt(dark, Corruption::kFog, 3, 9)),
      0.6);
}

TEST(Corruptions, PixelsGetCoarse) {
  const cv::Mat out = Corrupt(Scene(100, 100), Corruption::kPixelation, 4, 0);
  std::set<std::string> rows;
  for (int y = 0; y < out.rows; ++y) {
    rows.insert(std::string(reinterpret_cast<const char*>(out.ptr(y)), 300));
  }
  EXPECT_EQ(24u, rows.size());
}

TEST(Corruptions, LargePicturesAreReducedFirst) {
  EXPECT_EQ(cv::Size(336, 224), WorkingSize(Scene(960, 640), 224).size());
  EXPECT_EQ(cv::Size(224, 373), WorkingSize(Scene(600, 1000), 224).size());
  EXPECT_EQ(cv::Size(192, 128), WorkingSize(Scene(), 224).size());
  // A line of pixels is a picture, too.
  for (const CorruptionKind& kind : CorruptionKinds()) {
    EXPECT_EQ(cv::Size(30, 1), Corrupt(Scene(30, 1), kind.kind, 5, 1).size()) << kind.name;
  }
}

}  // namespace
}  // namespace cliptag
