// Depthwise convolutions, convolutions with an activation, and gates of the CPU backend against the
// oracle.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/kernels/cpu_test_fixture.h"

namespace cliptag {
namespace {

// `repeat`: outputs of an input.
struct Shape {
  int batch, height, width, in, repeat, kernel, stride, padding;
};

std::string Name(const Shape& s) {
  std::string name = "repro:";
  for (int n : {s.batch, s.height, s.width, s.in, s.repeat, s.kernel, s.stride, s.padding}) {
    name += " " + std::to_string(n);
  }
  return name;
}

// The windows and strides with a kernel of their own and one without; tiles, blocks of channels and
// shares of rows that end with the picture and not; one, two and three outputs of an input.
const Shape kShapes[] = {
    {1, 1, 1, 1, 1, 3, 1, 1},    {1, 9, 8, 16, 1, 3, 1, 1},   {2, 17, 21, 40, 1, 3, 1, 1},
    {1, 8, 16, 32, 1, 7, 1, 3},  {2, 33, 19, 24, 1, 7, 1, 3}, {1, 3, 5, 16, 1, 7, 1, 3},
    {1, 16, 16, 16, 1, 3, 2, 1}, {2, 15, 18, 16, 2, 7, 2, 3}, {1, 16, 32, 48, 2, 7, 2, 3},
    {1, 8, 8, 20, 2, 3, 1, 1},   {2, 7, 9, 7, 3, 3, 1, 1},    {1, 11, 10, 17, 1, 5, 3, 2},
    {1, 6, 7, 16, 1, 3, 1, 0},   {1, 9, 9, 5, 2, 1, 1, 0}};

class CpuDepthwiseTest : public CpuTest {
 protected:
  void Check(const Shape& s, const ConvolutionSpec& like, bool with_residual, bool relu) {
    const int out_channels = s.in * s.repeat;
    const std::string what = Name(s) + (with_residual ? " residual" : "") + (relu ? " relu" : "");
    TestMatrix weight(out_channels, s.kernel * s.kernel, DType::kF32);
    TestMatrix bias(1, out_channels, DType::kF32);
    weight.Fill(random_, 1.0f / static_cast<float>(s.kernel));
    bias.Fill(random_);
    ConvolutionSpec spec = like;
    spec.weight = {weight.get().data, DType::kF32, {out_channels, 1, s.kernel, s.kernel}};
    if (!relu) spec.bias = {bias.get().data, DType::kF32, {out_channels}};
    spec.stride = s.stride;
    spec.padding = s.padding;
    spec.groups = s.in;
    const auto packed = cpu_->PackConvolution(spec), exact_one = ref_->PackConvolution(spec);
    ASSERT_TRUE(packed.ok()) << packed.status().message();
    EXPECT_EQ((*packed)->in_channels(), s.in);
    EXPECT_EQ((*packed)->out_channels(), out_channels);
    const int height = (*packed)->OutEdge(s.height), width = (*packed)->OutEdge(s.width);
    const int64_t pixels = int64_t{s.batch} * s.height * s.width;
    const int64_t out_pixels = int64_t{s.batch} * height * width;
    TestMatrix x(pixels, s.in, type()), residual(out_pixels, out_channels, type());
    x.Fill(random_, 1.0f, 0.3f);
    residual.Fill(random_);
    TestMatrix out(out_pixels, out_channels, type()), exact(out_pixels, out_channels, DType::kF32);
    const TestMatrix exact_x = x.AsFloat(), exact_residual = residual.AsFloat();
    const FeatureMap added{residual, s.batch, height, width};
    const FeatureMap exact_added{exact_residual, s.batch, height, width};
    ASSERT_STATUS_OK(cpu_->Convolve({x, s.batch, s.height, s.width}, **packed,
                                    with_residual ? &added : nullptr, relu,
                                    {out, s.batch, height, width}));
    ASSERT_STATUS_OK(ref_->Convolve({exact_x, s.batch, s.height, s.width}, **exact_one,
                                    with_residual ? &exact_added : nullptr, relu,
                                    {exact, s.batch, height, width}));
    ExpectLikeExact(out, exact, 4e-6, what);
    x.ExpectSentinels(what);
  }
};

TEST_P(CpuDepthwiseTest, LikeTheOracle) {
  for (const Shape& shape : kShapes) {
    Check(shape, {}, false, false);
    Check(shape, {}, true, true);
    for (const Activation activation :
         {Activation::kGelu, Activation::kQuickGelu, Activation::kTanhGelu}) {
      ConvolutionSpec spec;
      spec.activation = activation;
      Check(shape, spec, false, false);
    }
  }
}

// Another shape grows what is kept between calls; the first one's results do not change.
TEST_P(CpuDepthwiseTest, ShapesInTurn) {
  for (int round = 0; round < 2; ++round) {
    Check({1, 4, 4, 16, 1, 3, 1, 1}, {}, false, false);
    Check({2, 30, 30, 24, 1, 7, 1, 3}, {}, false, false);
  }
}

TEST_P(CpuDepthwiseTest, NanStaysInItsWindowsAndItsChannel) {
  constexpr int kEdge = 6, kChannels = 20;
  TestMatrix weight(kChannels, 9, DType::kF32), x(kEdge * kEdge, kChannels, type());
  TestMatrix out(kEdge * kEdge, kChannels, type());
  weight.Fill(random_);
  x.Fill(random_);
  x.Set(0, 3, std::numeric_limits<float>::quiet_NaN());
  ConvolutionSpec spec;
  spec.weight = {weight.get().data, DType::kF32, {kChannels, 1, 3, 3}};
  spec.padding = 1;
  spec.groups = kChannels;
  const auto packed = cpu_->PackConvolution(spec);
  ASSERT_TRUE(packed.ok()) << packed.status().message();
  ASSERT_STATUS_OK(
      cpu_->Convolve({x, 1, kEdge, kEdge}, **packed, nullptr, false, {out, 1, kEdge, kEdge}));
  const std::vector<float> values = out.values();
  for (int pixel = 0; pixel < kEdge * kEdge; ++pixel) {
    const bool near = pixel / kEdge < 2 && pixel % kEdge < 2;
    for (int c = 0; c < kChannels; ++c) {
      EXPECT_EQ(std::isnan(values[pixel * kChannels + c]), near && c == 3) << pixel << " " << c;
    }
  }
}

// Dense ones: products of a pixel, windows, and those that Winograd's transforms would take without
// an activation.
TEST_P(CpuDepthwiseTest, DenseOnesWithAnActivation) {
  for (const auto& [in, out, kernel, stride, padding] :
       {std::tuple{24, 40, 1, 1, 0}, {8, 32, 3, 2, 1}, {16, 32, 3, 1, 1}}) {
    constexpr int kEdge = 12;
    const int depth = in * kernel * kernel;
    TestMatrix weight(out, depth, DType::kF32), x(kEdge * kEdge, in, type());
    weight.Fill(random_, 1.0f / std::sqrt(static_cast<float>(depth)));
    if (bf16()) weight.Set(RoundedToBf16(weight.values()));
    x.Fill(random_);
    ConvolutionSpec spec;
    spec.weight = {weight.get().data, DType::kF32, {out, in, kernel, kernel}};
    spec.stride = stride;
    spec.padding = padding;
    spec.activation = Activation::kGelu;
    const auto packed = cpu_->PackConvolution(spec), exact_one = ref_->PackConvolution(spec);
    ASSERT_TRUE(packed.ok()) << packed.status().message();
    const int edge = (*packed)->OutEdge(kEdge);
    TestMatrix found(edge * edge, out, type()), exact(edge * edge, out, DType::kF32);
    const TestMatrix exact_x = x.AsFloat();
    ASSERT_STATUS_OK(
        cpu_->Convolve({x, 1, kEdge, kEdge}, **packed, nullptr, false, {found, 1, edge, edge}));
    ASSERT_STATUS_OK(ref_->Convolve({exact_x, 1, kEdge, kEdge}, **exact_one, nullptr, false,
                                    {exact, 1, edge, edge}));
    ExpectLikeExact(found, exact, 5e-6, std::to_string(in) + " to " + std::to_string(out));
  }
}

TEST_P(CpuDepthwiseTest, Gates) {
  for (const auto& [batch, height, width, channels] :
       {std::tuple{1, 1, 1, 1}, {2, 3, 5, 33}, {3, 8, 8, 64}}) {
    for (const Activation activation :
         {Activation::kNone, Activation::kGelu, Activation::kQuickGelu, Activation::kTanhGelu}) {
      TestMatrix x(int64_t{batch} * height * width, channels, type());
      TestMatrix gates(batch, channels, type());
      x.Fill(random_, 2.0f);
      gates.Fill(random_, 3.0f);
      gates.Set(0, 0, -200.0f);
      TestMatrix out(x.get().rows, channels, type()), exact(x.get().rows, channels, DType::kF32);
      const TestMatrix exact_x = x.AsFloat(), exact_gates = gates.AsFloat();
      ASSERT_STATUS_OK(cpu_->SqueezeExcite({x, batch, height, width}, gates.get(), activation,
                                           {out, batch, height, width}));
      ASSERT_STATUS_OK(ref_->SqueezeExcite({exact_x, batch, height, width}, exact_gates.get(),
                                           activation, {exact, batch, height, width}));
      ExpectLikeExact(out, exact, 2e-6, std::to_string(channels) + " channels");
      // In place.
      ASSERT_STATUS_OK(cpu_->SqueezeExcite({x, batch, height, width}, gates.get(), activation,
                                           {x, batch, height, width}));
      EXPECT_EQ(x.values(), out.values());
    }
  }
}

TEST_P(CpuDepthwiseTest, WhatCannotBe) {
  const std::vector<float> weight(64 * 64);
  ConvolutionSpec spec;
  spec.weight = {weight.data(), DType::kF32, {6, 2, 3, 3}};
  spec.groups = 3;
  EXPECT_EQ(cpu_->PackConvolution(spec).status().message(),
            "PackConvolution: 3 groups are neither one nor as many as inputs; the weight of a "
            "depthwise convolution is (out, 1, kernel, kernel).");
  spec.weight.shape = {5, 1, 3, 3};
  EXPECT_EQ(cpu_->PackConvolution(spec).status().code(), StatusCode::kInvalidArgument);
  spec.groups = -1;
  EXPECT_EQ(cpu_->PackConvolution(spec).status().code(), StatusCode::kInvalidArgument);
  spec.weight.shape = {2, 1, 33, 33};
  spec.groups = 2;
  EXPECT_EQ(cpu_->PackConvolution(spec).status().message(),
            "A depthwise convolution's window of 33 pixels is larger than the 31 that are "
            "supported.");
  spec.weight.shape = {2, 1, 1, 1};
  spec.activation = Activation::kGelu;
  const auto convolution = cpu_->PackConvolution(spec);
  ASSERT_TRUE(convolution.ok()) << convolution.status().message();
  TestMatrix x(4, 2, type()), out(4, 2, type()), gates(2, 2, type());
  EXPECT_EQ(cpu_->Convolve({x, 1, 2, 2}, **convolution, nullptr, true, {out, 1, 2, 2}).message(),
            "Convolve: a convolution with an activation takes neither a residual nor ReLU.");
  EXPECT_EQ(
      cpu_->SqueezeExcite({x, 1, 2, 2}, gates.get(), Activation::kNone, {out, 1, 2, 2}).message(),
      "SqueezeExcite: the gates should be 1x2, without gaps, of the backend's type.");
}

INSTANTIATE_CPU_TESTS(CpuDepthwiseTest);

}  // namespace
}  // namespace cliptag
