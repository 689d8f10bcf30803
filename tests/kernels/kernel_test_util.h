// What the kernel tests share: matrices between sentinels, random values, normalised errors.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "kernels/backend.h"
#include "kernels/base/half.h"
#include "kernels/host_memory.h"

namespace cliptag {

#define ASSERT_STATUS_OK(expr)                                \
  do {                                                        \
    const ::cliptag::Status test_status_ = (expr);            \
    ASSERT_TRUE(test_status_.ok()) << test_status_.message(); \
  } while (false)

// A matrix in ordinary memory, surrounded by sentinels: before it, after it, and between its rows
// where the stride exceeds the columns.
class TestMatrix {
 public:
  TestMatrix(int64_t rows, int64_t cols, DType type, int64_t extra_stride = 0)
      : storage_((rows * (cols + extra_stride) + 2 * kGuard) * SizeOf(type), kSentinel) {
    matrix_ = {storage_.data() + kGuard * SizeOf(type), type, rows, cols, cols + extra_stride};
  }
  // A copy's matrix would lie in the other's memory; a move takes the memory along.
  TestMatrix(TestMatrix&&) = default;
  TestMatrix& operator=(TestMatrix&&) = default;

  const Matrix& get() const { return matrix_; }
  operator const Matrix&() const { return matrix_; }  // NOLINT: implicit on purpose

  void Set(int64_t r, int64_t c, float value) {
    char* p = static_cast<char*>(matrix_.data) + (r * matrix_.stride + c) * SizeOf(matrix_.type);
    const uint16_t half = matrix_.type == DType::kBF16 ? FloatToBf16(value) : FloatToHalf(value);
    if (SizeOf(matrix_.type) == 2) {
      std::memcpy(p, &half, 2);
    } else {
      std::memcpy(p, &value, 4);
    }
  }
  TestMatrix& Fill(std::mt19937& random, float scale = 1.0f, float offset = 0.0f) {
    std::normal_distribution<float> normal(offset, scale);
    for (int64_t r = 0; r < matrix_.rows; ++r) {
      for (int64_t c = 0; c < matrix_.cols; ++c) Set(r, c, normal(random));
    }
    return *this;
  }
  TestMatrix& Set(const std::vector<float>& values) {
    for (int64_t i = 0; i < matrix_.rows * matrix_.cols; ++i) {
      Set(i / matrix_.cols, i % matrix_.cols, values[i]);
    }
    return *this;
  }

  std::vector<float> values() const {
    std::vector<float> v(matrix_.rows * matrix_.cols);
    CopyMatrixToFloat(matrix_, v.data());
    return v;
  }
  // The same values as f32, contiguous.
  TestMatrix AsFloat() const {
    TestMatrix m(matrix_.rows, matrix_.cols, DType::kF32);
    m.Set(values());
    return m;
  }

  // Nothing outside the matrix has been written.
  void ExpectSentinels(const std::string& what) const {
    const int64_t size = SizeOf(matrix_.type);
    int64_t touched = 0;
    for (int64_t i = 0; i < static_cast<int64_t>(storage_.size()); ++i) {
      const int64_t element = i / size - kGuard;
      const bool inside = element >= 0 && element < matrix_.rows * matrix_.stride &&
                          element % matrix_.stride < matrix_.cols;
      if (!inside && storage_[i] != kSentinel) ++touched;
    }
    EXPECT_EQ(touched, 0) << what << ": bytes written outside the matrix";
  }

 private:
  static constexpr int64_t kGuard = 64;
  static constexpr char kSentinel = static_cast<char>(0xa5);
  std::vector<char> storage_;
  Matrix matrix_;
};

// Largest difference divided by the root mean square of the expected values; NaN if only one of the
// two has a NaN somewhere.
inline double NormalisedError(const std::vector<float>& actual,
                              const std::vector<float>& expected) {
  double squares = 0, largest = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    squares += double{expected[i]} * expected[i];
    const double difference = std::abs(double{actual[i]} - expected[i]);
    if (!(difference <= largest)) largest = difference;  // NaN stays
    if (std::isnan(largest)) return largest;
  }
  const double rms = std::sqrt(squares / static_cast<double>(expected.size()));
  return rms > 0 ? largest / rms : largest;
}

inline void ExpectClose(const std::vector<float>& actual, const std::vector<float>& expected,
                        double tolerance, const std::string& what) {
  ASSERT_EQ(actual.size(), expected.size()) << what;
  const double error = NormalisedError(actual, expected);
  if (!(error <= tolerance)) {
    size_t worst = 0;
    double largest = -1;
    for (size_t i = 0; i < expected.size(); ++i) {
      const double difference = std::abs(double{actual[i]} - expected[i]);
      if (!(difference <= largest)) largest = difference, worst = i;
    }
    ADD_FAILURE() << what << ": normalised error " << error << " > " << tolerance << ", worst at "
                  << worst << ": " << actual[worst] << " instead of " << expected[worst];
  }
}

// Values rounded to bf16 and back: the error of storing them as bf16.
inline std::vector<float> RoundedToBf16(std::vector<float> values) {
  for (float& v : values) v = Bf16ToFloat(FloatToBf16(v));
  return values;
}

constexpr Activation kActivations[] = {Activation::kNone, Activation::kGelu, Activation::kQuickGelu,
                                       Activation::kTanhGelu};

// GELU approximated by tanh, as defined, by (1 + tanh u) / 2 = 1 / (1 + e^-2u),
// which keeps its digits where tanh comes near -1.
inline double TanhGelu(double x) {
  const double u = std::sqrt(2.0 / std::acos(-1.0)) * (x + 0.044715 * x * x * x);
  return x / (1.0 + std::exp(-2.0 * u));
}

}  // namespace cliptag
