// Pictures that the starter model knows, drawn pixel by pixel: a smiling face, a star, a heart and
// a clock, and a disc that could be the face, anywhere on any ground. No files, the same on every
// machine.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

#include "kernels/frame.h"

namespace cliptag {

enum class Thing { kFace, kStar, kHeart, kClock, kDisc };

struct Placement {
  double x = 0.5, y = 0.5;  // of the middle, in widths of the picture
  double radius = 0.38;
  double opacity = 1;
};

struct Rgb {
  double r, g, b;
};

class Drawing {
 public:
  static constexpr int kSize = 112;

  // A ground that is graded from `top` to `bottom`.
  Drawing(Rgb top, Rgb bottom) : pixels_(size_t{3} * kSize * kSize) {
    for (int y = 0; y < kSize; ++y) {
      const double t = static_cast<double>(y) / kSize;
      for (int x = 0; x < kSize; ++x) {
        Set(x, y,
            {top.r + t * (bottom.r - top.r), top.g + t * (bottom.g - top.g),
             top.b + t * (bottom.b - top.b)});
      }
    }
  }

  void Draw(Thing thing, const Placement& at) {
    for (int y = 0; y < kSize; ++y) {
      for (int x = 0; x < kSize; ++x) {
        Rgb colour;
        if (!ColourAt(thing, ((x + 0.5) / kSize - at.x) / at.radius,
                      ((y + 0.5) / kSize - at.y) / at.radius, &colour)) {
          continue;
        }
        const float* p = &pixels_[size_t{3} * (y * kSize + x)];
        const double o = at.opacity;
        Set(x, y,
            {p[0] + o * (colour.r - p[0]), p[1] + o * (colour.g - p[1]),
             p[2] + o * (colour.b - p[2])});
      }
    }
  }

  // Normal noise in every sample, and a change of brightness of all.
  void Disturb(std::mt19937* random, double sigma, double brighter) {
    // Four bytes of one number added up: std::normal_distribution is every library's own.
    const double scale = sigma / 147.8;
    for (float& value : pixels_) {
      const uint32_t bits = (*random)();
      const int sum =
          static_cast<int>((bits & 255) + (bits >> 8 & 255) + (bits >> 16 & 255) + (bits >> 24)) -
          510;
      value += static_cast<float>(scale * sum + brighter);
    }
  }

  // The picture as 8-bit RGB; `pixels` holds it.
  FrameView View(std::vector<uint8_t>* pixels) const {
    pixels->resize(pixels_.size());
    for (size_t i = 0; i < pixels_.size(); ++i) {
      (*pixels)[i] = static_cast<uint8_t>(std::clamp(std::lround(pixels_[i]), 0L, 255L));
    }
    return RgbView(pixels->data(), ptrdiff_t{3} * kSize, kSize, kSize, RgbOrder::kRgb);
  }

 private:
  void Set(int x, int y, Rgb colour) {
    float* p = &pixels_[size_t{3} * (y * kSize + x)];
    p[0] = static_cast<float>(colour.r);
    p[1] = static_cast<float>(colour.g);
    p[2] = static_cast<float>(colour.b);
  }

  // (u, v) in units of the thing's radius; false outside of it.
  static bool ColourAt(Thing thing, double u, double v, Rgb* colour) {
    const double r = std::hypot(u, v);
    switch (thing) {
      case Thing::kFace:
        *colour = {255, 205, 60};
        if (std::hypot(std::abs(u) - 0.36, v + 0.28) < 0.14 || (r > 0.48 && r < 0.62 && v > 0.14)) {
          *colour = {80, 50, 20};
        }
        return r < 1;
      case Thing::kStar: {
        const double fifth = std::acos(-1.0) / 5;
        double angle = std::atan2(u, -v) + 3 * fifth;
        angle = std::abs(std::fmod(angle + 10 * fifth, 2 * fifth) - fifth);
        const double x = 0.4 * std::cos(fifth), y = 0.4 * std::sin(fifth);
        *colour = {255, 200, 40};
        return (x - 1) * r * std::sin(angle) - y * (r * std::cos(angle) - 1) > 0;
      }
      case Thing::kHeart: {
        const double x = u / 0.8, y = -v / 0.8, k = x * x + y * y - 1;
        *colour = {220, 30, 40};
        return k * k * k - x * x * y * y * y < 0;
      }
      case Thing::kClock:
        *colour = {245, 245, 245};
        if (r > 0.86) *colour = {60, 60, 70};
        if ((std::abs(u) < 0.06 && v > -0.68 && v < 0.05) ||
            (std::abs(v) < 0.06 && u > -0.05 && u < 0.45)) {
          *colour = {20, 20, 20};
        }
        return r < 1;
      case Thing::kDisc:
        *colour = {255, 205, 60};
        return r < 1;
    }
    return false;
  }

  std::vector<float> pixels_;
};

}  // namespace cliptag
