// Pictures made worse on purpose, each kind in five strengths: what a camera, weather or a codec
// does to them. The kinds are those of the common benchmarks for robustness; the code and the
// strengths are our own, and the same picture, seed and strength give the same pixels everywhere
// (but for jpeg, which is as the linked library codes it).
//
// Lengths (of blur and pixels) are shares of the picture's shorter side, so that they mean the same
// whatever its size. A picture that is larger than the model's input is reduced to it first
// (`working_size`): finer damage would not reach the model.
//
// Thread safety: pure functions; different pictures on different threads.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace cv {
class Mat;
}

namespace cliptag {

enum class Corruption : uint8_t {
  kNoise,       // Gaussian, each sample by itself
  kBlur,        // Gaussian
  kFog,         // contrast lost to a bright, uneven haze
  kJpeg,        // compression
  kPixelation,  // coarse pixels
  kBrightness,  // too bright, clipped
  kLowLight,    // dark, with a sensor's noise
  kRotation,    // about the middle, one way or the other, mirrored beyond the edge
};
constexpr int kStrengths = 5;

struct CorruptionKind {
  Corruption kind;
  const char* name;
  const char* parameter;  // what `values` are
  double values[kStrengths];
  const char* second_parameter;  // null: there is none
  double second_values[kStrengths];
};

// All of them, in the order of Corruption.
std::span<const CorruptionKind> CorruptionKinds();

// `strength` from 1 to 5; `picture` is BGR, 8 bits, and stays as it is. `seed` decides what is by
// chance; SeedOf makes one of a picture's name.
cv::Mat Corrupt(const cv::Mat& picture, Corruption kind, int strength, uint64_t seed);

// Reduced so that its shorter side is `size` at most; a smaller picture is returned itself.
cv::Mat WorkingSize(const cv::Mat& picture, int size);

// Of a picture's name in its dataset, a kind and a strength: the same whatever else is evaluated,
// and in whatever order.
uint64_t SeedOf(uint64_t seed, const std::string& name, Corruption kind, int strength);

}  // namespace cliptag
