// The CUDA backend in this process, over the stand-in for CUDA or on a GPU, beside the oracle.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "kernels/cuda/cuda_backend.h"
#include "tests/cuda/backend/test_device.h"
#include "tests/kernels/kernel_test_util.h"

namespace cliptag::cuda {

// A TestMatrix copied to the device; its values come back through the backend.
class OnDevice {
 public:
  OnDevice(Backend& backend, const TestMatrix& host) : backend_(backend), matrix_(host) {
    const size_t bytes = static_cast<size_t>(matrix_.rows * matrix_.stride) * SizeOf(matrix_.type);
    auto memory = backend.Allocate(bytes);
    EXPECT_TRUE(memory.ok()) << memory.status().message();
    memory_ = memory.Take();
    const Status status = backend.CopyFromHost(matrix_.data, bytes, memory_->data());
    EXPECT_TRUE(status.ok()) << status.message();
    matrix_.data = memory_->data();
  }
  operator const Matrix&() const { return matrix_; }  // NOLINT: implicit on purpose
  const Matrix& get() const { return matrix_; }
  float* floats() const { return static_cast<float*>(matrix_.data); }
  int32_t* ints() const { return static_cast<int32_t*>(matrix_.data); }

  std::vector<float> values() const {
    std::vector<float> v(static_cast<size_t>(matrix_.rows * matrix_.cols));
    const Status status = backend_.CopyToHost(matrix_, v.data());
    EXPECT_TRUE(status.ok()) << status.message();
    return v;
  }

 private:
  Backend& backend_;
  Matrix matrix_;
  std::unique_ptr<Memory> memory_;
};

// Attention of the packed product qkv (batch * tokens, 3 * heads * head_dim) to itself.
inline Status PackedAttention(Backend& backend, const Matrix& qkv, const Matrix& out,
                              AttentionArgs args) {
  const int64_t width = int64_t{args.heads} * args.head_dim;
  args.q = qkv.Cols(0, width);
  args.k = qkv.Cols(width, width);
  args.v = qkv.Cols(2 * width, width);
  args.out = out;
  return backend.Attention(args);
}

class BackendTest : public testing::TestWithParam<Precision> {
 protected:
  void SetUp() override {
    test_device::Begin();
    auto backend = CreateDeviceBackend({.kind = BackendKind::kCuda, .precision = GetParam()});
    ASSERT_TRUE(backend.ok()) << backend.status().message();
    backend_ = backend.Take();
    ref_ = CreateRefBackend();
  }
  void TearDown() override {
    backend_.reset();
    EXPECT_EQ(test_device::Problems(), "");
  }

  DType type() const { return backend_->compute_type(); }

  // At most twice what rounding the exact values to the result's type costs, and what sums in
  // another order do.
  void ExpectLikeExact(const OnDevice& actual, const TestMatrix& exact, const std::string& what,
                       double sums = 1e-5) {
    const std::vector<float> expected = exact.values();
    std::vector<float> rounded = expected;
    for (float& v : rounded) {
      if (actual.get().type == DType::kBF16) v = Bf16ToFloat(FloatToBf16(v));
      if (actual.get().type == DType::kF16) v = HalfToFloat(FloatToHalf(v));
    }
    ExpectClose(actual.values(), expected, sums + 2 * NormalisedError(rounded, expected), what);
  }

  std::mt19937 random_{20261124};
  std::unique_ptr<Backend> backend_, ref_;
};

#define INSTANTIATE_BACKEND_TESTS(suite)                                                     \
  INSTANTIATE_TEST_SUITE_P(Cuda, suite, testing::Values(Precision::kFp16, Precision::kBf16), \
                           [](const testing::TestParamInfo<Precision>& info) {               \
                             return std::string(ToString(info.param));                       \
                           })

}  // namespace cliptag::cuda
