// What the kernel tests share: launching under the emulation, random data in the kernels' types,
// and the bound on errors.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "kernels/backend.h"
#include "kernels/cuda/device/device.cuh"
#include "kernels/cuda/device/launch.h"

namespace cliptag::cuda {

using emulation::DeviceBuffer;
using emulation::LaunchReport;

// A launcher, as the *_launch.cuh headers want it, that runs the kernel here and keeps the report.
class EmulatedLauncher {
 public:
  explicit EmulatedLauncher(uint32_t order = 0) : order_(order) {}

  template <typename Kernel, typename Params>
  void operator()(Kernel kernel, const LaunchShape& shape, const Params& params) {
    ++launches_;
    report_ = emulation::Launch({.grid = {shape.grid_x, shape.grid_y, shape.grid_z},
                                 .threads = shape.threads,
                                 .shared_bytes = shape.shared_bytes,
                                 .order = order_},
                                [&] { kernel(params); });
  }

  const LaunchReport& report() const { return report_; }
  int launches() const { return launches_; }

 private:
  uint32_t order_;
  int launches_ = 0;
  LaunchReport report_;
};

// Rounds through T.
template <typename T>
float Round(float x) {
  return ToFloat(FromFloat<T>(x));
}

template <typename T>
constexpr const char* TypeName() {
  if constexpr (sizeof(T) == 4) return "f32";
  return std::is_same_v<T, Half> ? "f16" : "bf16";
}

// Normal deviates times `scale`, the same for a seed on every machine.
class Random {
 public:
  explicit Random(uint32_t seed) : engine_(seed) {}
  float Normal(float scale = 1) {
    // Twelve uniforms: std::normal_distribution differs between libraries.
    float sum = -6;
    for (int i = 0; i < 12; ++i) sum += static_cast<float>(engine_() % 65536) / 65536;
    return sum * scale;
  }
  int Below(int n) { return static_cast<int>(engine_() % static_cast<unsigned>(n)); }

 private:
  std::mt19937 engine_;
};

// A matrix in emulated device memory, rows `stride` elements apart; what lies between stays poison.
template <typename T>
class DeviceMatrix {
 public:
  DeviceMatrix(int64_t rows, int64_t cols, int64_t stride)
      : buffer_(static_cast<size_t>(rows * stride)), rows_(rows), cols_(cols), stride_(stride) {}

  T* data() { return buffer_.data(); }
  int64_t rows() const { return rows_; }
  int64_t cols() const { return cols_; }
  int64_t stride() const { return stride_; }
  T& at(int64_t row, int64_t col) { return buffer_[static_cast<size_t>(row * stride_ + col)]; }

  void Fill(Random& random, float scale = 1) {
    for (int64_t r = 0; r < rows_; ++r) {
      for (int64_t c = 0; c < cols_; ++c) at(r, c) = FromFloat<T>(random.Normal(scale));
    }
  }
  // Contiguous, as the oracle wants it.
  std::vector<float> ToHost() {
    std::vector<float> host;
    host.reserve(static_cast<size_t>(rows_ * cols_));
    for (int64_t r = 0; r < rows_; ++r) {
      for (int64_t c = 0; c < cols_; ++c) host.push_back(ToFloat(at(r, c)));
    }
    return host;
  }
  // Whether nothing was written between the rows or around the matrix.
  bool SentinelsIntact() {
    for (int64_t r = 0; r < rows_; ++r) {
      for (int64_t c = cols_; c < stride_; ++c) {
        const auto* bytes = reinterpret_cast<const unsigned char*>(&at(r, c));
        for (size_t i = 0; i < sizeof(T); ++i) {
          if (bytes[i] != 0xff) return false;
        }
      }
    }
    return buffer_.GuardsIntact();
  }

 private:
  DeviceBuffer<T> buffer_;
  int64_t rows_, cols_, stride_;
};

inline Matrix HostMatrix(std::vector<float>& values, int64_t rows, int64_t cols) {
  return {values.data(), DType::kF32, rows, cols, cols};
}

inline double LargestError(std::span<const float> values, std::span<const float> expected) {
  EXPECT_EQ(values.size(), expected.size());
  double largest = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    const double error = std::abs(double{values[i]} - expected[i]);
    if (!(error <= largest)) largest = error;  // NaN stays
    if (std::isnan(largest)) return largest;
  }
  return largest;
}

// The bound that every kernel is held to: at most twice the error of a plain implementation in the
// same precision, and a trifle for cases where the plain one is exact by luck.
inline void ExpectAsGoodAsPlain(std::span<const float> values, std::span<const float> plain,
                                std::span<const float> expected, double trifle) {
  const double error = LargestError(values, expected), allowed = 2 * LargestError(plain, expected);
  EXPECT_TRUE(error <= allowed + trifle)
      << "error " << error << ", a plain one's twice " << allowed;
}

}  // namespace cliptag::cuda
