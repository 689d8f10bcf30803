// The built-in pictures that show nothing anybody would tag. Photographs are near to each other and
// far from patterns, drawings the other way round, so there are some of either kind: what looks
// like a tag's pictures for no other reason than being a photograph or a drawing is known by them.
#include <algorithm>
#include <cmath>

#include "models/exemplars.h"

namespace cliptag {
namespace {

constexpr int kSize = 96;  // pixels, square

class Random {
 public:
  uint32_t Next() {
    state_ = state_ * 1664525 + 1013904223;
    return state_ >> 8;
  }
  double Within(double low, double high) { return low + (high - low) * Next() / (1 << 24); }

 private:
  uint32_t state_ = 1;
};

Picture Empty() { return {kSize, kSize, std::vector<uint8_t>(size_t{3} * kSize * kSize)}; }

// Graded, noisy, striped, checked, ringed, dotted.
constexpr int kPatterns = 6;

Picture Pattern(int kind, Random* random) {
  Picture picture = Empty();
  uint8_t* p = picture.rgb.data();
  for (int y = 0; y < kSize; ++y) {
    for (int x = 0; x < kSize; ++x, p += 3) {
      const int noise = static_cast<int>(random->Next() % 256);
      const int dx = x - kSize / 2, dy = y - kSize / 2, u = x % 32 - 16, v = y % 32 - 16;
      const bool stripe = x / 6 % 2 != 0, check = (x / 12 + y / 12) % 2 != 0;
      const bool dot = u * u + v * v < 100;
      const int colours[kPatterns][3] = {
          {x * 255 / kSize, y * 255 / kSize, 160},
          {noise, noise, noise},
          {stripe * 200, 60, stripe * 120},
          {30 + check * 200, 30 + check * 200, 40 + check * 180},
          {(dx * dx + dy * dy) / 8 % 256, x * 2, 255 - y * 2},
          {240 - dot * 40, 240 - dot * 180, 230 - dot * 150},
      };
      for (int c = 0; c < 3; ++c) p[c] = static_cast<uint8_t>(colours[kind][c]);
    }
  }
  return picture;
}

// Smooth noise with as much in the large as photographs have: octaves of random lattices. Unit
// variance.
std::vector<double> Field(Random* random) {
  std::vector<double> field(kSize * kSize, 0.0);
  for (int cell = kSize / 2; cell >= 3; cell /= 2) {
    const int n = kSize / cell + 2;
    std::vector<double> lattice(static_cast<size_t>(n) * n);
    for (double& value : lattice) value = random->Within(-1, 1);
    const double weight = std::pow(2.0 * cell / kSize, 0.3);
    const auto ease = [](double t) { return t * t * (3 - 2 * t); };
    for (int y = 0; y < kSize; ++y) {
      for (int x = 0; x < kSize; ++x) {
        const double* at = &lattice[static_cast<size_t>(y / cell) * n + x / cell];
        const double fx = ease(static_cast<double>(x % cell) / cell);
        const double fy = ease(static_cast<double>(y % cell) / cell);
        field[y * kSize + x] += weight * ((at[0] * (1 - fx) + at[1] * fx) * (1 - fy) +
                                          (at[n] * (1 - fx) + at[n + 1] * fx) * fy);
      }
    }
  }
  double sum = 0, squares = 0;
  for (double value : field) sum += value;
  const double mean = sum / static_cast<double>(field.size());
  for (double& value : field) {
    value -= mean;
    squares += value * value;
  }
  const double deviation = std::sqrt(squares / static_cast<double>(field.size()));
  for (double& value : field) value /= deviation;
  return field;
}

// What a photograph of nothing in particular could be: light and dark together in all colours, and
// a little of each colour by itself.
Picture Cloud(const int base[3], Random* random) {
  constexpr double kOwn = 0.4, kContrast = 42;
  Picture picture = Empty();
  const std::vector<double> common = Field(random);
  for (int c = 0; c < 3; ++c) {
    const std::vector<double> own = Field(random);
    for (size_t i = 0; i < own.size(); ++i) {
      const double value = base[c] + kContrast * (common[i] + kOwn * own[i]);
      picture.rgb[3 * i + c] = static_cast<uint8_t>(std::clamp(value, 0.0, 255.0));
    }
  }
  return picture;
}

}  // namespace

std::vector<std::vector<Picture>> UnrelatedPictures() {
  constexpr int kBases[][3] = {{128, 128, 128}, {110, 130, 90}, {150, 170, 200},
                               {150, 120, 100}, {90, 90, 100},  {190, 185, 180}};
  Random random;
  std::vector<std::vector<Picture>> groups(2);
  for (int kind = 0; kind < kPatterns; ++kind) groups[0].push_back(Pattern(kind, &random));
  for (const auto& base : kBases) groups[1].push_back(Cloud(base, &random));
  return groups;
}

}  // namespace cliptag
