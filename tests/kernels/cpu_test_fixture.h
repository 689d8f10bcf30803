// The CPU backend and the oracle (the reference backend), at the level that CLIPTAG_CPU sets: meson
// runs the tests once per level.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "kernels/backend.h"
#include "kernels/cpu/machine/cpu_features.h"
#include "kernels/create_backend.h"
#include "tests/kernels/kernel_test_util.h"

namespace cliptag {

// (precision, threads)
using CpuConfig = std::tuple<Precision, int>;

inline std::string CpuConfigName(const testing::TestParamInfo<CpuConfig>& info) {
  return std::string(ToString(std::get<0>(info.param))) + "x" +
         std::to_string(std::get<1>(info.param));
}

class CpuTest : public testing::TestWithParam<CpuConfig> {
 protected:
  void SetUp() override {
    const char* cap = std::getenv("CLIPTAG_CPU");
    auto level = ChooseCpuLevel();
    ASSERT_TRUE(level.ok()) << level.status().message();
    if (cap && *cap && std::string(cap) != ToString(*level)) {
      GTEST_SKIP() << "this CPU is " << ToString(*level) << " and has no " << cap;
    }
    BackendOptions options;
    options.kind = BackendKind::kCpu;
    options.precision = std::get<0>(GetParam());
    options.threads = std::get<1>(GetParam());
    auto cpu = CreateBackend(options);
    ASSERT_TRUE(cpu.ok()) << cpu.status().message();
    cpu_ = cpu.Take();
    ref_ = CreateRefBackend();
  }

  DType type() const { return cpu_->compute_type(); }
  bool bf16() const { return type() == DType::kBF16; }

  // The allowed error: rounding of sums in f32; for results in bf16 twice the error of rounding the
  // exact result to bf16.
  void ExpectLikeExact(const TestMatrix& actual, const TestMatrix& exact, double f32_tolerance,
                       const std::string& what) {
    const std::vector<float> expected = exact.values();
    const double rounding = actual.get().type == DType::kBF16
                                ? 2 * NormalisedError(RoundedToBf16(expected), expected)
                                : 0;
    ExpectClose(actual.values(), expected, f32_tolerance + rounding, what);
    actual.ExpectSentinels(what);
  }

  std::unique_ptr<Linear> Pack(Backend& backend, const LinearSpec& spec) {
    auto linear = backend.PackLinear(spec);
    EXPECT_TRUE(linear.ok()) << linear.status().message();
    return linear.ok() ? linear.Take() : nullptr;
  }

  std::mt19937 random_{20240229};
  std::unique_ptr<Backend> cpu_, ref_;
};

#define INSTANTIATE_CPU_TESTS(suite)                                                             \
  INSTANTIATE_TEST_SUITE_P(Cpu, suite,                                                           \
                           testing::Combine(testing::Values(Precision::kFp32, Precision::kBf16), \
                                            testing::Values(1, 3)),                              \
                           CpuConfigName)

}  // namespace cliptag
