// Own products, with every kernel of this machine and the emulated ones, against plain loops: in
// f32 and bf16 within the rounding of a sum, in int8 exactly as the quantized numbers multiply.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "kernels/cpu/products/panel/gemm.h"
#include "kernels/cpu/simd/simd.h"
#include "tests/kernels/kernel_test_util.h"
#include "tests/kernels/panel_test_kernels.h"

namespace cliptag {
namespace {

struct Config {
  const PanelKernel* kernel;
  CpuLevel level;
  DType compute_type;
  int threads;
};

void PrintTo(const Config& c, std::ostream* out) {
  *out << c.kernel->name << " on " << ToString(c.level) << ", " << c.threads << " threads";
}

// Each kernel once, at the lowest level that has it, for both types of activations that it takes.
std::vector<Config> Configs() {
  std::vector<Config> configs;
  std::vector<std::pair<const PanelKernel*, CpuLevel>> kernels = {
      {&kPanelAmxBf16Emulated, DetectCpuLevel()}, {&kPanelAmxInt8Emulated, DetectCpuLevel()}};
  for (CpuLevel level : {CpuLevel::kBaseline, CpuLevel::kAvx2, CpuLevel::kAvx512,
                         CpuLevel::kAvx512Vnni, CpuLevel::kAvx512Bf16, CpuLevel::kAmx}) {
    if (level > DetectCpuLevel()) break;
    for (PanelType type : {PanelType::kF32, PanelType::kBf16, PanelType::kInt8}) {
      const PanelKernel* kernel = PanelKernelFor(level, type);
      const auto known = [&](const auto& k) { return k.first == kernel; };
      if (kernel == nullptr || std::any_of(kernels.begin(), kernels.end(), known)) continue;
      kernels.emplace_back(kernel, level);
    }
  }
  for (const auto& [kernel, level] : kernels) {
    for (DType type : {DType::kF32, DType::kBF16}) {
      if (kernel->type == PanelType::kBf16 && type == DType::kF32) continue;
      // The emulated tiles are one set for the process.
      const bool emulated = std::string(kernel->name).starts_with("emulated");
      configs.push_back({kernel, level, type, emulated ? 1 : 3});
    }
  }
  return configs;
}

class PanelGemmTest : public testing::TestWithParam<Config> {
 protected:
  PanelGemmTest()
      : kernels_(SimdKernelsFor(GetParam().level)),
        pool_(GetParam().threads),
        gemm_(*GetParam().kernel, GetParam().compute_type, kernels_, &pool_) {}

  bool bytes() const { return GetParam().kernel->type == PanelType::kInt8; }
  DType type() const { return GetParam().compute_type; }

  // The kernel's operand as numbers, row by row: quantized and dequantized for int8.
  std::vector<float> Operand(const TestMatrix& x) const {
    std::vector<float> values = x.values();
    if (!bytes()) return values;
    const int64_t cols = x.get().cols;
    std::vector<uint8_t> q(cols);
    for (int64_t r = 0; r < x.get().rows; ++r) {
      float scale;
      int32_t zero;
      kernels_.quantize(x.get().Rows(r, 1).data, type() == DType::kBF16, cols, cols, q.data(),
                        &scale, &zero);
      for (int64_t c = 0; c < cols; ++c) {
        values[r * cols + c] = scale * static_cast<float>(q[c] - zero);
      }
    }
    return values;
  }
  // A row of weights likewise.
  void RoundWeights(float* row, int64_t in) const {
    if (bytes()) {
      float largest = 0;
      for (int64_t i = 0; i < in; ++i) largest = std::max(largest, std::abs(row[i]));
      const float inverse = largest > 0 ? 127.0f / largest : 0.0f;
      for (int64_t i = 0; i < in; ++i) {
        row[i] = std::nearbyint(row[i] * inverse) * (largest / 127.0f);
      }
    } else if (type() == DType::kBF16) {
      for (int64_t i = 0; i < in; ++i) row[i] = Bf16ToFloat(FloatToBf16(row[i]));
    }
  }

  void Check(int64_t rows, int64_t in, int64_t out, Activation activation = Activation::kNone,
             bool accumulate = false, int64_t extra = 0) {
    const std::string what = "repro: Check(" + std::to_string(rows) + ", " + std::to_string(in) +
                             ", " + std::to_string(out) + ", " +
                             std::to_string(static_cast<int>(activation)) + ", " +
                             std::to_string(accumulate) + ", " + std::to_string(extra) + ")";
    TestMatrix x(rows, in, type(), extra), weight(out, in, DType::kF32), bias(1, out, DType::kF32);
    x.Fill(random_, 1.0f, 0.3f);
    weight.Fill(random_, 1.0f / std::sqrt(static_cast<float>(in)));
    bias.Fill(random_);
    const LinearSpec spec{{{weight.get().data, DType::kF32, {out, in}}},
                          {{bias.get().data, DType::kF32, {out}}}};
    TestMatrix actual(rows, out, DType::kF32, extra);
    actual.Fill(random_);
    const std::vector<float> residual = actual.values();
    auto packed = gemm_.Pack(spec, {out, in});
    ASSERT_TRUE(packed.ok()) << packed.status().message();
    ASSERT_STATUS_OK(gemm_.Prepare(**packed, rows));
    ASSERT_STATUS_OK(gemm_.Run(x, **packed, {activation, accumulate}, actual));

    const std::vector<float> operand = Operand(x), b = bias.values();
    std::vector<float> rounded = weight.values(), expected(rows * out);
    for (int64_t o = 0; o < out; ++o) RoundWeights(rounded.data() + o * in, in);
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t o = 0; o < out; ++o) {
        double sum = b[o];
        for (int64_t i = 0; i < in; ++i) {
          sum += double{operand[r * in + i]} * rounded[o * in + i];
        }
        if (activation == Activation::kGelu) sum *= 0.5 * std::erfc(-sum / std::sqrt(2.0));
        if (activation == Activation::kQuickGelu) sum /= 1 + std::exp(-1.702 * sum);
        if (activation == Activation::kTanhGelu) sum = TanhGelu(sum);
        expected[r * out + o] = static_cast<float>(accumulate ? residual[r * out + o] + sum : sum);
      }
    }
    // Sums of `in` products of unit variance in f32; those of bytes are exact, their scales
    // rounded.
    ExpectClose(actual.values(), expected, 3e-7 * std::sqrt(static_cast<double>(in)) + 2e-6, what);
    actual.ExpectSentinels(what);
    x.ExpectSentinels(what + " x");
  }

  std::mt19937 random_{7};
  const SimdKernels& kernels_;
  ThreadPool pool_;
  PanelGemm gemm_;
};

TEST_P(PanelGemmTest, EveryCountOfRows) {
  for (int64_t rows = 1; rows <= 70; ++rows) Check(rows, 64, 64);
}

TEST_P(PanelGemmTest, ShapesOfClip) {
  Check(50, 768, 96);
  Check(50, 3072, 64);
  Check(197, 192, 576);
  Check(1, 768, 512);
}

TEST_P(PanelGemmTest, OddShapes) {
  Check(1, 1, 1);
  Check(3, 27, 5);
  Check(33, 588, 33);  // patches of 14
  Check(17, 31, 130);
  Check(130, 100, 193);
}

TEST_P(PanelGemmTest, EveryEpilogue) {
  for (Activation activation : kActivations) {
    for (bool accumulate : {false, true}) Check(19, 96, 70, activation, accumulate, 3);
  }
}

// More than a task's share of the L2 cache, in rows and in panels.
TEST_P(PanelGemmTest, MoreThanACacheHolds) { Check(300, 2500, 330); }

TEST_P(PanelGemmTest, NanStaysNan) {
  TestMatrix x(20, 40, type()), weight(40, 40, DType::kF32), out(20, 40, DType::kF32);
  x.Fill(random_);
  weight.Fill(random_);
  x.Set(5, 7, std::numeric_limits<float>::quiet_NaN());
  x.Set(6, 7, std::numeric_limits<float>::infinity());
  auto packed = gemm_.Pack({{{weight.get().data, DType::kF32, {40, 40}}}}, {40, 40});
  ASSERT_TRUE(packed.ok()) << packed.status().message();
  ASSERT_STATUS_OK(gemm_.Run(x, **packed, {}, out));
  const std::vector<float> values = out.values();
  for (int r = 0; r < 20; ++r) {
    for (int c = 0; c < 40; ++c) EXPECT_EQ(std::isfinite(values[r * 40 + c]), r != 5 && r != 6);
  }
}

TEST_P(PanelGemmTest, RowsOfZerosAndWeightsOfZeros) {
  TestMatrix x(2, 8, type()), weight(3, 8, DType::kF32), out(2, 3, DType::kF32);
  x.Fill(random_);
  weight.Fill(random_);
  for (int i = 0; i < 8; ++i) x.Set(0, i, 0), weight.Set(1, i, 0);
  auto packed = gemm_.Pack({{{weight.get().data, DType::kF32, {3, 8}}}}, {3, 8});
  ASSERT_TRUE(packed.ok()) << packed.status().message();
  ASSERT_STATUS_OK(gemm_.Run(x, **packed, {}, out));
  const std::vector<float> values = out.values();
  for (int i : {0, 1, 2, 4}) EXPECT_EQ(values[i], 0.0f) << i;
  for (int i : {3, 5}) EXPECT_NE(values[i], 0.0f) << i;
}

INSTANTIATE_TEST_SUITE_P(Kernels, PanelGemmTest, testing::ValuesIn(Configs()));

class QuantizeTest : public testing::TestWithParam<CpuLevel> {};

TEST_P(QuantizeTest, EveryValueWithinHalfAStep) {
  if (GetParam() > DetectCpuLevel()) GTEST_SKIP() << "this CPU has no " << ToString(GetParam());
  const SimdKernels& kernels = SimdKernelsFor(GetParam());
  std::mt19937 random(3);
  for (float offset : {0.0f, 2.0f, -5.0f}) {
    for (int64_t n : {1, 15, 16, 17, 100, 768}) {
      TestMatrix x(1, n, DType::kF32);
      x.Fill(random, 1.0f, offset);
      const std::vector<float> values = x.values();
      const int64_t padded = (n + 63) / 64 * 64;
      std::vector<uint8_t> q(padded + 1, 0xa5);
      float scale;
      int32_t zero;
      kernels.quantize(x.get().data, false, n, padded, q.data(), &scale, &zero);
      EXPECT_EQ(q[padded], 0xa5) << "written beyond the row";
      EXPECT_GE(zero, 0);
      EXPECT_LE(zero, 255);
      for (int64_t i = 0; i < n; ++i) {
        EXPECT_NEAR(values[i], scale * static_cast<float>(q[i] - zero), 0.502f * scale)
            << "element " << i << " of " << n;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Levels, QuantizeTest,
                         testing::Values(CpuLevel::kBaseline, CpuLevel::kAvx2, CpuLevel::kAvx512));

// Every number of half precision, beside the conversion that the files' loader has.
TEST(FromHalf, EveryNumber) {
  std::vector<uint16_t> words(65536);
  for (size_t i = 0; i < words.size(); ++i) words[i] = static_cast<uint16_t>(i);
  std::vector<float> floats(words.size());
  for (CpuLevel level : {CpuLevel::kBaseline, CpuLevel::kAvx2, CpuLevel::kAvx512}) {
    if (level > DetectCpuLevel()) break;
    SimdKernelsFor(level).from_f16(words.data(), static_cast<int64_t>(words.size()), floats.data());
    for (size_t i = 0; i < words.size(); ++i) {
      const float expected = HalfToFloat(words[i]);
      if (std::isnan(expected)) {
        EXPECT_TRUE(std::isnan(floats[i])) << i;
      } else {
        EXPECT_EQ(floats[i], expected) << i;
      }
    }
  }
}

}  // namespace
}  // namespace cliptag
