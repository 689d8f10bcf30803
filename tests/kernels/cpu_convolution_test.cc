// Convolutions and pooling of the CPU backend against the oracle.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/kernels/cpu_test_fixture.h"

namespace cliptag {
namespace {

struct Shape {
  int batch, height, width, in, out, kernel, stride, padding;
};

std::string Name(const Shape& s) {
  std::string name = "repro:";
  for (int n : {s.batch, s.height, s.width, s.in, s.out, s.kernel, s.stride, s.padding}) {
    name += " " + std::to_string(n);
  }
  return name;
}

// Products and windows, all edges of tiles, panels and bands, wide and narrow pictures.
const Shape kShapes[] = {
    {1, 1, 1, 1, 1, 1, 1, 0},
    {1, 5, 3, 7, 33, 1, 1, 0},
    {2, 14, 14, 64, 96, 1, 1, 0},
    {3, 7, 7, 130, 40, 1, 1, 0},
    {1, 9, 8, 5, 6, 1, 2, 0},
    {1, 3, 3, 1, 1, 3, 1, 1},
    {2, 17, 15, 8, 16, 3, 2, 1},
    {1, 56, 56, 16, 32, 3, 1, 1},
    {3, 7, 7, 64, 70, 3, 1, 1},
    {2, 13, 29, 33, 31, 3, 1, 1},
    {1, 12, 5, 3, 8, 5, 1, 2},
    {2, 11, 10, 6, 9, 5, 3, 1},
    {1, 6, 6, 4, 64, 3, 1, 0},
    {1, 8, 40, 2, 3, 7, 2, 3},
    {1, 2, 300, 40, 5, 3, 1, 1},
    {1, 14, 14, 256, 64, 3, 1, 1},
    // Channels that Winograd's transforms take: tiles that end with the picture and not, few and
    // many, half a panel, weights of either size of tile, whole and shared out.
    {1, 1, 1, 16, 16, 3, 1, 1},
    {1, 3, 3, 16, 16, 3, 1, 0},
    {2, 9, 6, 32, 48, 3, 1, 2},
    {3, 7, 7, 64, 80, 3, 1, 1},
    {2, 13, 29, 32, 80, 3, 1, 1},
    {1, 2, 300, 48, 16, 3, 1, 1},
    {1, 57, 62, 16, 16, 3, 1, 1},
    {2, 6, 5, 256, 304, 3, 1, 1},
    {1, 4, 5, 512, 176, 3, 1, 1}};

class CpuConvolutionTest : public CpuTest {
 protected:
  // Of weights that the precision holds exactly, so that the oracle multiplies the same ones.
  TestMatrix Weights(const Shape& s) {
    const int64_t depth = int64_t{s.in} * s.kernel * s.kernel;
    TestMatrix weight(s.out, depth, DType::kF32);
    weight.Fill(random_, 1.0f / std::sqrt(static_cast<float>(depth)));
    if (bf16()) weight.Set(RoundedToBf16(weight.values()));
    return weight;
  }

  void Check(const Shape& s, bool with_residual, bool relu) {
    const std::string what = Name(s) + (with_residual ? " residual" : "") + (relu ? " relu" : "");
    TestMatrix weight = Weights(s), bias(1, s.out, DType::kF32);
    bias.Fill(random_);
    ConvolutionSpec spec;
    spec.weight = {weight.get().data, DType::kF32, {s.out, s.in, s.kernel, s.kernel}};
    if (!relu) spec.bias = {bias.get().data, DType::kF32, {s.out}};
    spec.stride = s.stride;
    spec.padding = s.padding;
    const auto packed = cpu_->PackConvolution(spec), exact_one = ref_->PackConvolution(spec);
    ASSERT_TRUE(packed.ok()) << packed.status().message();
    const int height = (*packed)->OutEdge(s.height), width = (*packed)->OutEdge(s.width);
    EXPECT_EQ((*packed)->in_channels(), s.in);
    EXPECT_EQ((*packed)->out_channels(), s.out);
    const int64_t pixels = int64_t{s.batch} * s.height * s.width;
    const int64_t out_pixels = int64_t{s.batch} * height * width;
    TestMatrix x(pixels, s.in, type()), residual(out_pixels, s.out, type());
    x.Fill(random_, 1.0f, 0.3f);
    residual.Fill(random_);
    TestMatrix out(out_pixels, s.out, type()), exact(out_pixels, s.out, DType::kF32);
    const TestMatrix exact_x = x.AsFloat(), exact_residual = residual.AsFloat();
    const FeatureMap in{x, s.batch, s.height, s.width}, to{out, s.batch, height, width};
    const FeatureMap added{residual, s.batch, height, width};
    const FeatureMap exact_added{exact_residual, s.batch, height, width};
    ASSERT_STATUS_OK(cpu_->Convolve(in, **packed, with_residual ? &added : nullptr, relu, to));
    ASSERT_STATUS_OK(ref_->Convolve({exact_x, s.batch, s.height, s.width}, **exact_one,
                                    with_residual ? &exact_added : nullptr, relu,
                                    {exact, s.batch, height, width}));
    // The rounding of a sum grows with the root of its terms. Winograd's transforms multiply what
    // they round by up to 5, twice, and then weigh their products by up to 8, twice; where products
    // are of bf16, weights and pixels are rounded after that, to 0.3 % of the result on average.
    const double terms = s.in * s.kernel * s.kernel;
    const bool transformed = s.kernel == 3 && s.stride == 1 && s.in % 16 == 0 && s.out % 16 == 0;
    const double rounding = 3e-6 + 1.5e-7 * std::sqrt(terms);
    ExpectLikeExact(out, exact, transformed ? 8 * rounding + (bf16() ? 0.015 : 0) : rounding, what);
    x.ExpectSentinels(what);
  }
};

TEST_P(CpuConvolutionTest, LikeTheOracle) {
  for (const Shape& shape : kShapes) {
    Check(shape, false, false);
    Check(shape, true, true);
  }
  Check(kShapes[2], true, false);
  Check(kShapes[8], false, true);
}

// Another shape grows what is kept between calls; the first one's results do not change.
TEST_P(CpuConvolutionTest, ShapesInTurn) {
  for (int round = 0; round < 2; ++round) {
    Check({1, 4, 4, 8, 8, 3, 1, 1}, false, true);
    Check({2, 30, 30, 24, 40, 3, 1, 1}, false, true);
  }
}

// Tiles and tasks end anywhere in a batch; that is nothing to a picture's sums but their order. The
// larger weights and batch are more than some threads keep in their caches at once.
TEST_P(CpuConvolutionTest, EveryPictureAsIfAlone) {
  for (const Shape& s : {Shape{5, 14, 14, 64, 96, 3, 1, 1}, Shape{21, 14, 14, 256, 416, 3, 1, 1}}) {
    if (s.batch > 5 && std::get<1>(GetParam()) == 1) continue;
    const int64_t pixels = int64_t{s.height} * s.width;
    TestMatrix weight = Weights(s), x(s.batch * pixels, s.in, type());
    x.Fill(random_);
    ConvolutionSpec spec;
    spec.weight = {weight.get().data, DType::kF32, {s.out, s.in, 3, 3}};
    spec.padding = 1;
    const auto packed = cpu_->PackConvolution(spec);
    ASSERT_TRUE(packed.ok()) << packed.status().message();
    TestMatrix together(s.batch * pixels, s.out, type()), alone(s.batch * pixels, s.out, type());
    ASSERT_STATUS_OK(cpu_->Convolve({x, s.batch, s.height, s.width}, **packed, nullptr, true,
                                    {together, s.batch, s.height, s.width}));
    for (int i = 0; i < s.batch; ++i) {
      const Matrix one = x.get().Rows(i * pixels, pixels);
      const Matrix to = alone.get().Rows(i * pixels, pixels);
      ASSERT_STATUS_OK(cpu_->Convolve({one, 1, s.height, s.width}, **packed, nullptr, true,
                                      {to, 1, s.height, s.width}));
    }
    ExpectClose(together.values(), alone.values(), bf16() ? 0.02 : 1e-5, Name(s));
  }
}

// Winograd's tiles give a NaN to pixels beside its windows, too, but not to the rest.
TEST_P(CpuConvolutionTest, NanStaysNear) {
  constexpr int kEdge = 12, kChannels = 32;
  const Shape s{1, kEdge, kEdge, kChannels, kChannels, 3, 1, 1};
  TestMatrix weight = Weights(s), x(kEdge * kEdge, kChannels, type());
  TestMatrix out(kEdge * kEdge, kChannels, type());
  x.Fill(random_);
  x.Set(0, 3, std::numeric_limits<float>::quiet_NaN());
  ConvolutionSpec spec;
  spec.weight = {weight.get().data, DType::kF32, {kChannels, kChannels, 3, 3}};
  spec.padding = 1;
  const auto packed = cpu_->PackConvolution(spec);
  ASSERT_TRUE(packed.ok()) << packed.status().message();
  ASSERT_STATUS_OK(
      cpu_->Convolve({x, 1, kEdge, kEdge}, **packed, nullptr, true, {out, 1, kEdge, kEdge}));
  const std::vector<float> values = out.values();
  for (int pixel = 0; pixel < kEdge * kEdge; ++pixel) {
    const int row = pixel / kEdge, column = pixel % kEdge;
    const float value = values[pixel * kChannels];
    if (row < 2 && column < 2) {
      EXPECT_TRUE(std::isnan(value)) << row << " " << column;
    }
    if (row > 3 || column > 3) {
      EXPECT_TRUE(std::isfinite(value)) << row << " " << column;
    }
  }
}

TEST_P(CpuConvolutionTest, NanStaysInItsWindows) {
  const Shape s{1, 6, 6, 8, 4, 3, 1, 1};
  TestMatrix weight = Weights(s), x(36, 8, type()), out(36, 4, type());
  x.Fill(random_);
  x.Set(0, 3, std::numeric_limits<float>::quiet_NaN());
  ConvolutionSpec spec;
  spec.weight = {weight.get().data, DType::kF32, {4, 8, 3, 3}};
  spec.padding = 1;
  const auto packed = cpu_->PackConvolution(spec);
  ASSERT_TRUE(packed.ok()) << packed.status().message();
  ASSERT_STATUS_OK(cpu_->Convolve({x, 1, 6, 6}, **packed, nullptr, true, {out, 1, 6, 6}));
  const std::vector<float> values = out.values();
  EXPECT_TRUE(std::isnan(values[0])) << "ReLU makes no number of it";
  EXPECT_TRUE(std::isfinite(values[35 * 4])) << "the other end of the picture";
}

TEST_P(CpuConvolutionTest, AveragePool) {
  for (const auto& [batch, height, width, channels, window] : {std::tuple{1, 2, 2, 1, 2},
                                                               {2, 7, 9, 33, 2},
                                                               {3, 7, 7, 64, 7},
                                                               {1, 10, 4, 130, 3},
                                                               {1, 5, 5, 16, 1}}) {
    TestMatrix x(int64_t{batch} * height * width, channels, type());
    x.Fill(random_, 1.0f, 0.5f);
    const int h = height / window, w = width / window;
    TestMatrix out(int64_t{batch} * h * w, channels, type());
    TestMatrix exact(int64_t{batch} * h * w, channels, DType::kF32);
    const TestMatrix exact_x = x.AsFloat();
    ASSERT_STATUS_OK(cpu_->AveragePool({x, batch, height, width}, window, {out, batch, h, w}));
    ASSERT_STATUS_OK(
        ref_->AveragePool({exact_x, batch, height, width}, window, {exact, batch, h, w}));
    ExpectLikeExact(
        out, exact, 1e-6,
        std::to_string(height) + "x" + std::to_string(width) + "/" + std::to_string(window));
  }
}

TEST_P(CpuConvolutionTest, WhatCannotBe) {
  EXPECT_EQ(cpu_->PackConvolution({}).status().message(),
            "PackConvolution: the weight must be (out, in, kernel, kernel).");
  const float weight[9] = {};
  ConvolutionSpec spec;
  spec.weight = {weight, DType::kF32, {1, 1, 3, 3}};
  const auto convolution = cpu_->PackConvolution(spec);
  ASSERT_TRUE(convolution.ok());
  TestMatrix x(4, 1, type()), out(4, 1, type());
  EXPECT_EQ(cpu_->Convolve({x, 1, 2, 2}, **convolution, nullptr, false, {out, 1, 2, 2}).message(),
            "Convolve: x is smaller than the window.");
  EXPECT_EQ(cpu_->AveragePool({x, 1, 2, 2}, 3, {out, 1, 1, 1}).message(),
            "AveragePool: a window of 3 does not fit into x.");
}

INSTANTIATE_CPU_TESTS(CpuConvolutionTest);

}  // namespace
}  // namespace cliptag
