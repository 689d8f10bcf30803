// Products and their epilogues on the CPU against the oracle.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/kernels/cpu_test_fixture.h"

namespace cliptag {
namespace {

class CpuGemmTest : public CpuTest {
 protected:
  struct Case {
    int64_t rows, in, out;
    Activation activation = Activation::kNone;
    bool bias = true, accumulate = false, out_f32 = true;
    int64_t x_extra = 0, out_extra = 0;
  };

  void Check(const Case& c) {
    const std::string what =
        "repro: {" + std::to_string(c.rows) + ", " + std::to_string(c.in) + ", " +
        std::to_string(c.out) + ", activation " + std::to_string(static_cast<int>(c.activation)) +
        ", bias " + std::to_string(c.bias) + ", accumulate " + std::to_string(c.accumulate) +
        ", out_f32 " + std::to_string(c.out_f32) + ", x_extra " + std::to_string(c.x_extra) +
        ", out_extra " + std::to_string(c.out_extra) + "}";
    TestMatrix x(c.rows, c.in, type(), c.x_extra);
    x.Fill(random_);
    // Weights as bf16 so that both backends multiply the same values.
    TestMatrix weight(c.out, c.in, DType::kBF16), bias(1, c.out, DType::kF32);
    weight.Fill(random_, 1.0f / std::sqrt(static_cast<float>(c.in)));
    bias.Fill(random_);
    LinearSpec spec{{{weight.get().data, DType::kBF16, {c.out, c.in}}}};
    if (c.bias) spec.biases = {{bias.get().data, DType::kF32, {c.out}}};
    const auto cpu_linear = Pack(*cpu_, spec), ref_linear = Pack(*ref_, spec);
    ASSERT_TRUE(cpu_linear && ref_linear);
    EXPECT_GE(cpu_linear->bytes(), static_cast<size_t>(c.out * c.in * SizeOf(type())));

    TestMatrix actual(c.rows, c.out, c.out_f32 ? DType::kF32 : type(), c.out_extra);
    TestMatrix exact(c.rows, c.out, DType::kF32);
    exact.Fill(random_);  // the residual
    actual.Set(exact.values());
    ASSERT_STATUS_OK(cpu_->PrepareGemm(*cpu_linear, c.rows));
    ASSERT_STATUS_OK(cpu_->Gemm(x, *cpu_linear, c.activation, c.accumulate, actual));
    ASSERT_STATUS_OK(ref_->Gemm(x.AsFloat(), *ref_linear, c.activation, c.accumulate, exact));
    // Rounding of a sum of `in` products of unit variance, in any order.
    ExpectLikeExact(actual, exact, 3e-7 * std::sqrt(static_cast<double>(c.in)) + 1e-6, what);
    x.ExpectSentinels(what + " x");
  }
};

TEST_P(CpuGemmTest, ShapesOfClip) {
  for (int64_t rows : {1, 50, 77, 150}) {
    Check({.rows = rows, .in = 768, .out = 2304, .out_f32 = false});
    Check({.rows = rows,
           .in = 192,
           .out = 768,
           .activation = Activation::kQuickGelu,
           .out_f32 = false});
    Check({.rows = rows, .in = 768, .out = 192, .accumulate = true});
    Check({.rows = rows, .in = 512, .out = 512, .bias = false});
  }
}

TEST_P(CpuGemmTest, OddShapes) {
  for (const auto& [rows, in, out] : {std::tuple{1, 1, 1},
                                      {3, 27, 5},
                                      {64, 16, 64},
                                      {65, 33, 65},
                                      {130, 100, 193},
                                      {7, 592, 100},
                                      {2, 1, 300},
                                      {129, 8, 1},
                                      {17, 31, 1025},
                                      {200, 64, 640}}) {
    Check({rows, in, out});
    Check({.rows = rows,
           .in = in,
           .out = out,
           .activation = Activation::kGelu,
           .bias = false,
           .out_f32 = false});
  }
}

TEST_P(CpuGemmTest, EveryEpilogue) {
  for (Activation activation : kActivations) {
    for (bool bias : {false, true}) {
      for (bool accumulate : {false, true}) {
        for (bool out_f32 : {false, true}) {
          if (accumulate && !out_f32) continue;
          Check({51, 96, 200, activation, bias, accumulate, out_f32});
        }
      }
    }
  }
}

TEST_P(CpuGemmTest, Strides) {
  Check({.rows = 70, .in = 48, .out = 130, .x_extra = 5, .out_extra = 7});
  Check({.rows = 1, .in = 48, .out = 130, .x_extra = 9, .out_extra = 0});
  Check({.rows = 3, .in = 768, .out = 512, .out_f32 = false, .x_extra = 49 * 768, .out_extra = 1});
  Check({.rows = 66, .in = 40, .out = 72, .accumulate = true, .x_extra = 1, .out_extra = 100});
}

// One plan serves several weights of a shape, in any order of rows.
TEST_P(CpuGemmTest, RowCountsInAnyOrder) {
  for (int64_t rows : {5, 400, 1, 64, 63, 5, 1}) Check({.rows = rows, .in = 64, .out = 128});
}

TEST_P(CpuGemmTest, StackedWeightsOfEveryTypeAnywhereInMemory) {
  constexpr int64_t kIn = 40;
  // q as f32, k as f16, v as bf16, each one byte off any alignment, as in a mapped file.
  TestMatrix q(30, kIn, DType::kF32), k(50, kIn, DType::kF16), v(70, kIn, DType::kBF16);
  TestMatrix x(9, kIn, type()), actual(9, 150, DType::kF32), exact(9, 150, DType::kF32);
  x.Fill(random_);
  LinearSpec spec;
  std::vector<std::vector<char>> files;
  for (TestMatrix* m : {&q, &k, &v}) {
    m->Fill(random_, 0.2f);
    if (m == &q) m->Set(RoundedToBf16(m->values()));
    if (m == &k) m->Set(RoundedToBf16(m->values()));
    const Matrix& matrix = *m;
    const size_t bytes = matrix.rows * matrix.cols * SizeOf(matrix.type);
    files.emplace_back(bytes + 1);
    std::memcpy(files.back().data() + 1, matrix.data, bytes);
    spec.weights.push_back({files.back().data() + 1, matrix.type, {matrix.rows, matrix.cols}});
  }
  for (bool transposed : {false, true}) {
    spec.transposed = transposed;
    if (transposed) {  // the same bytes read as (in, out)
      for (HostTensor& w : spec.weights) w.shape = {w.shape[1], w.shape[0]};
    }
    const auto cpu_linear = Pack(*cpu_, spec), ref_linear = Pack(*ref_, spec);
    ASSERT_TRUE(cpu_linear && ref_linear);
    ASSERT_STATUS_OK(cpu_->Gemm(x, *cpu_linear, Activation::kNone, false, actual));
    ASSERT_STATUS_OK(ref_->Gemm(x.AsFloat(), *ref_linear, Activation::kNone, false, exact));
    ExpectLikeExact(actual, exact, 3e-6, transposed ? "transposed" : "stacked");
  }
}

// A convolution's weight (out, channels, y, x) flattens into its inputs.
TEST_P(CpuGemmTest, WeightsOfMoreDimensions) {
  TestMatrix weight(6, 27, DType::kBF16), x(4, 27, type());
  weight.Fill(random_);
  x.Fill(random_);
  TestMatrix actual(4, 6, DType::kF32), exact(4, 6, DType::kF32);
  const LinearSpec spec{{{weight.get().data, DType::kBF16, {6, 3, 3, 3}}}};
  const auto cpu_linear = Pack(*cpu_, spec), ref_linear = Pack(*ref_, spec);
  ASSERT_EQ(cpu_linear->in(), 27);
  ASSERT_EQ(cpu_linear->out(), 6);
  ASSERT_STATUS_OK(cpu_->Gemm(x, *cpu_linear, Activation::kNone, false, actual));
  ASSERT_STATUS_OK(ref_->Gemm(x.AsFloat(), *ref_linear, Activation::kNone, false, exact));
  ExpectLikeExact(actual, exact, 3e-6, "4-d weight");
}

// The activations over the whole range that they bend in, and beyond it, each to a relative error:
// a product with the weight 1 and a bias that carries the value at full precision.
TEST_P(CpuGemmTest, ActivationsEverywhere) {
  std::vector<float> at;
  for (float v = -13.0f; v <= 13.0f; v += 0.0078125f) at.push_back(v);
  for (float v : {-1e30f, -100.0f, -60.0f, 60.0f, 100.0f, 1e30f, 1e-30f, -1e-30f}) at.push_back(v);
  const int64_t n = static_cast<int64_t>(at.size());
  const std::vector<float> zero(n, 0.0f);
  const LinearSpec spec{{{zero.data(), DType::kF32, {n, 1}}}, {{at.data(), DType::kF32, {n}}}};
  const auto linear = Pack(*cpu_, spec);
  TestMatrix x(1, 1, type()), out(1, n, DType::kF32);
  x.Set(0, 0, 0.0f);
  for (Activation activation : {Activation::kGelu, Activation::kQuickGelu, Activation::kTanhGelu}) {
    ASSERT_STATUS_OK(cpu_->Gemm(x, *linear, activation, false, out));
    const std::vector<float> values = out.values();
    for (int64_t i = 0; i < n; ++i) {
      const double v = at[i];
      const double exact = activation == Activation::kGelu
                               ? 0.5 * v * std::erfc(-v / std::sqrt(2.0))
                           : activation == Activation::kTanhGelu ? TanhGelu(v)
                                                                 : v / (1.0 + std::exp(-1.702 * v));
      // An exponential's argument, up to v^2 / 2 large or, of tanh, |v|^3 / 14 and v^2 / 2, is
      // known to 2e-7 of itself.
      const double argument =
          v * v * (activation == Activation::kTanhGelu ? 1 + std::abs(v) / 7 : 1);
      const double tolerance = (1e-6 + 1.2e-7 * argument) * std::abs(exact) + 1e-36;
      ASSERT_TRUE(std::abs(values[i] - exact) <= tolerance)
          << "activation " << static_cast<int>(activation) << " of " << v << " is " << values[i]
          << " instead of " << exact;
    }
  }
}

TEST_P(CpuGemmTest, NanAndInfinityAreNotHidden) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinity = std::numeric_limits<float>::infinity();
  const std::vector<float> one = {1};
  const auto linear = Pack(*cpu_, {{{one.data(), DType::kF32, {1, 1}}}});
  TestMatrix x(3, 1, type()), out(3, 1, DType::kF32);
  x.Set({nan, infinity, 1});
  for (Activation activation : kActivations) {
    ASSERT_STATUS_OK(cpu_->Gemm(x, *linear, activation, false, out));
    EXPECT_TRUE(std::isnan(out.values()[0]));
    EXPECT_FALSE(std::isfinite(out.values()[1]));
    EXPECT_TRUE(std::isfinite(out.values()[2]));
  }
}

TEST_P(CpuGemmTest, RefusesWhatDoesNotFit) {
  const std::vector<float> w(12, 1.0f);
  const auto linear = Pack(*cpu_, {{{w.data(), DType::kF32, {3, 4}}}});
  const DType wrong = bf16() ? DType::kF32 : DType::kBF16;
  TestMatrix x(2, 4, type()), out(2, 3, DType::kF32), narrow(2, 3, type()), half(2, 4, wrong);
  TestMatrix out_bf16(2, 3, DType::kBF16);
  EXPECT_TRUE(cpu_->Gemm(x, *linear, Activation::kNone, false, out).ok());
  const auto message = [&](const Matrix& a, bool accumulate, const Matrix& b) {
    return cpu_->Gemm(a, *linear, Activation::kNone, accumulate, b).message();
  };
  EXPECT_EQ(message(narrow, false, out), "Gemm: x has 3 columns but the weight has 4 inputs.");
  EXPECT_EQ(message(x, false, x),
            std::string("Gemm: out is 2x4 ") + (bf16() ? "bf16" : "f32") + " but should be 2x3.");
  EXPECT_NE(message(half, false, out).find("Gemm: x is"), std::string::npos);
  EXPECT_EQ(message(x, true, out_bf16), "Gemm: out is bf16 but should be f32.");
  Matrix broken = out;
  broken.stride = 2;
  EXPECT_EQ(message(x, false, broken), "Gemm: out has rows of 3 elements but a stride of 2.");
  broken = out;
  broken.data = nullptr;
  EXPECT_EQ(message(x, false, broken), "Gemm: out has no memory.");
  EXPECT_FALSE(cpu_->PrepareGemm(*linear, 0).ok());
}

TEST_P(CpuGemmTest, RefusesMalformedWeights) {
  const std::vector<float> w(12, 1.0f);
  const auto message = [&](const LinearSpec& spec) {
    auto linear = cpu_->PackLinear(spec);
    return linear.ok() ? "" : linear.status().message();
  };
  EXPECT_EQ(message({}), "PackLinear: no weight was given.");
  EXPECT_EQ(message({{{nullptr, DType::kF32, {3, 4}}}}), "PackLinear: weight 0 is missing.");
  EXPECT_EQ(message({{{w.data(), DType::kF32, {12}}}}), "PackLinear: weight 0 is not a matrix.");
  EXPECT_EQ(message({{{w.data(), DType::kI32, {3, 4}}}}),
            "PackLinear: weight 0 is i32, not floating point.");
  EXPECT_EQ(message({{{w.data(), DType::kF32, {3, 4}}, {w.data(), DType::kF32, {4, 3}}}}),
            "PackLinear: weight 1 has 3 inputs but the first has 4.");
  EXPECT_EQ(message({{{w.data(), DType::kF32, {3, 4}}}, {{w.data(), DType::kF32, {4}}}}),
            "PackLinear: bias 0 should have 3 floating-point values.");
}

INSTANTIATE_CPU_TESTS(CpuGemmTest);

}  // namespace
}  // namespace cliptag
