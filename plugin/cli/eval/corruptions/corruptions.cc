#include "plugin/cli/eval/corruptions/corruptions.h"

#include <algorithm>
#include <cmath>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>
#include <vector>

#include "models/io/content_hash.h"

namespace cliptag {
namespace {

constexpr CorruptionKind kKinds[] = {
    {Corruption::kNoise, "noise", "standard deviation, of 255", {12, 22, 36, 55, 80}, nullptr, {}},
    {Corruption::kBlur,
     "blur",
     "standard deviation, share of the shorter side",
     {0.006, 0.012, 0.02, 0.03, 0.045},
     nullptr,
     {}},
    {Corruption::kFog,
     "fog",
     "share of the haze",
     {0.25, 0.4, 0.55, 0.7, 0.82},
     "unevenness of the haze, of 255",
     {12, 16, 20, 24, 28}},
    {Corruption::kJpeg, "jpeg", "quality", {40, 25, 15, 9, 5}, nullptr, {}},
    {Corruption::kPixelation,
     "pixelation",
     "share of the pixels per side that is left",
     {0.6, 0.45, 0.33, 0.24, 0.17},
     nullptr,
     {}},
    {Corruption::kBrightness, "brightness", "added, of 255", {30, 60, 90, 120, 150}, nullptr, {}},
    {Corruption::kLowLight,
     "low light",
     "share of the light that is left",
     {0.5, 0.33, 0.22, 0.14, 0.09},
     "standard deviation of the noise, of 255",
     {2, 3, 4, 5, 6}},
    {Corruption::kRotation, "rotation", "degrees", {8, 16, 26, 38, 52}, nullptr, {}},
};

// SplitMix64: a good mixture of a counter, the same on every machine.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}

  uint64_t Next() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }

  // Of mean 0 and variance 1: a sum of eight uniform numbers of 16 bits. Integers, so that no
  // library's logarithm decides; its tails end at 4.9.
  double Normal() {
    constexpr double kMean = 8 * 65535 / 2.0;
    const double deviation = std::sqrt(8 * (65536.0 * 65536.0 - 1) / 12);
    int64_t sum = 0;
    for (int word = 0; word < 2; ++word) {
      for (uint64_t bits = Next(), i = 0; i < 4; ++i, bits >>= 16) {
        sum += static_cast<int64_t>(bits & 0xffff);
      }
    }
    return (static_cast<double>(sum) - kMean) / deviation;
  }

 private:
  uint64_t state_;
};

uint8_t Sample(double value) {
  return static_cast<uint8_t>(std::lround(std::clamp(value, 0.0, 255.0)));
}

// Every sample through `change`, row by row.
template <typename Change>
cv::Mat ForEachSample(const cv::Mat& picture, Change change) {
  cv::Mat out(picture.size(), CV_8UC3);
  for (int y = 0; y < picture.rows; ++y) {
    const uint8_t* from = picture.ptr<uint8_t>(y);
    uint8_t* to = out.ptr<uint8_t>(y);
    for (int x = 0; x < 3 * picture.cols; ++x) to[x] = Sample(change(from[x], x / 3, y));
  }
  return out;
}

// gain x value + noise: also what a dark picture is.
cv::Mat Noise(const cv::Mat& picture, double gain, double deviation, uint64_t seed) {
  Random random(seed);
  return ForEachSample(
      picture, [&](double value, int, int) { return gain * value + deviation * random.Normal(); });
}

cv::Mat Blur(const cv::Mat& picture, double share) {
  const double deviation = share * std::min(picture.cols, picture.rows);
  cv::Mat out;
  cv::GaussianBlur(picture, out, cv::Size(), deviation, deviation, cv::BORDER_REFLECT_101);
  return out;
}

// A haze of five by five numbers by chance, blended smoothly in between.
cv::Mat Fog(const cv::Mat& picture, double share, double unevenness, uint64_t seed) {
  constexpr int kCells = 4;
  constexpr double kBright = 215;
  Random random(seed);
  double knots[kCells + 1][kCells + 1];
  for (auto& row : knots) {
    for (double& knot : row) knot = kBright + unevenness * random.Normal();
  }
  const auto haze = [&](int x, int y) {
    const double u = kCells * (x + 0.5) / picture.cols, v = kCells * (y + 0.5) / picture.rows;
    const int i = std::min(static_cast<int>(u), kCells - 1);
    const int j = std::min(static_cast<int>(v), kCells - 1);
    const auto smooth = [](double t) { return t * t * (3 - 2 * t); };
    const double s = smooth(u - i), t = smooth(v - j);
    return (1 - t) * ((1 - s) * knots[j][i] + s * knots[j][i + 1]) +
           t * ((1 - s) * knots[j + 1][i] + s * knots[j + 1][i + 1]);
  };
  return ForEachSample(picture, [&](double value, int x, int y) {
    return (1 - share) * value + share * haze(x, y);
  });
}

cv::Mat Jpeg(const cv::Mat& picture, double quality) {
  std::vector<uint8_t> bytes;
  cv::imencode(".jpg", picture, bytes, {cv::IMWRITE_JPEG_QUALITY, static_cast<int>(quality)});
  return cv::imdecode(bytes, cv::IMREAD_COLOR);
}

cv::Mat Pixelate(const cv::Mat& picture, double share) {
  const auto fewer = [share](int pixels) {
    return std::max(1, static_cast<int>(std::lround(share * pixels)));
  };
  cv::Mat coarse, out;
  cv::resize(picture, coarse, {fewer(picture.cols), fewer(picture.rows)}, 0, 0, cv::INTER_AREA);
  cv::resize(coarse, out, picture.size(), 0, 0, cv::INTER_NEAREST);
  return out;
}

cv::Mat Rotate(const cv::Mat& picture, double degrees, uint64_t seed) {
  const double angle = Random(seed).Next() & 1 ? degrees : -degrees;
  const cv::Point2f middle((picture.cols - 1) / 2.0f, (picture.rows - 1) / 2.0f);
  cv::Mat out;
  cv::warpAffine(picture, out, cv::getRotationMatrix2D(middle, angle, 1), picture.size(),
                 cv::INTER_LINEAR, cv::BORDER_REFLECT_101);
  return out;
}

}  // namespace

std::span<const CorruptionKind> CorruptionKinds() { return kKinds; }

cv::Mat Corrupt(const cv::Mat& picture, Corruption kind, int strength, uint64_t seed) {
  const CorruptionKind& of = kKinds[static_cast<size_t>(kind)];
  const double value = of.values[strength - 1], second = of.second_values[strength - 1];
  switch (kind) {
    case Corruption::kNoise:
      return Noise(picture, 1, value, seed);
    case Corruption::kBlur:
      return Blur(picture, value);
    case Corruption::kFog:
      return Fog(picture, value, second, seed);
    case Corruption::kJpeg:
      return Jpeg(picture, value);
    case Corruption::kPixelation:
      return Pixelate(picture, value);
    case Corruption::kBrightness:
      return ForEachSample(picture, [value](double v, int, int) { return v + value; });
    case Corruption::kLowLight:
      return Noise(picture, value, second, seed);
    case Corruption::kRotation:
      return Rotate(picture, value, seed);
  }
  return picture;
}

cv::Mat WorkingSize(const cv::Mat& picture, int size) {
  const int shorter = std::min(picture.cols, picture.rows);
  if (shorter <= size) return picture;
  const auto reduced = [&](int pixels) {
    return std::max(1, static_cast<int>(std::lround(static_cast<double>(pixels) * size / shorter)));
  };
  cv::Mat out;
  cv::resize(picture, out, {reduced(picture.cols), reduced(picture.rows)}, 0, 0, cv::INTER_AREA);
  return out;
}

uint64_t SeedOf(uint64_t seed, const std::string& name, Corruption kind, int strength) {
  const Hash128 hash = HashBytes(name.data(), name.size());
  Random random(seed ^ hash.low ^ (static_cast<uint64_t>(kind) * kStrengths + strength));
  return random.Next();
}

}  // namespace cliptag
