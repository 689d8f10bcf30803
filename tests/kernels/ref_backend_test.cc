// The oracle against cases small enough to work out by hand.
#include <gtest/gtest.h>

#include <cmath>

#include "kernels/backend.h"
#include "tests/kernels/kernel_test_util.h"

namespace cliptag {
namespace {

class RefBackendTest : public testing::Test {
 protected:
  std::unique_ptr<Backend> backend_ = CreateRefBackend();

  std::unique_ptr<Linear> Pack(const LinearSpec& spec) {
    auto linear = backend_->PackLinear(spec);
    EXPECT_TRUE(linear.ok()) << linear.status().message();
    return linear.ok() ? linear.Take() : nullptr;
  }
};

TestMatrix Of(int64_t rows, int64_t cols, const std::vector<float>& values) {
  TestMatrix m(rows, cols, DType::kF32);
  m.Set(values);
  return m;
}

TEST_F(RefBackendTest, SaysWhatItIs) {
  EXPECT_EQ(backend_->info().kind, BackendKind::kRef);
  EXPECT_EQ(backend_->info().threads, 1);
  EXPECT_EQ(backend_->compute_type(), DType::kF32);
}

TEST_F(RefBackendTest, Gemm) {
  const float weight[] = {1, 2, 3, -1, 0, 1};  // (out 2, in 3)
  const float bias[] = {10, 20};
  const auto linear = Pack({{{weight, DType::kF32, {2, 3}}}, {{bias, DType::kF32, {2}}}});
  ASSERT_EQ(linear->in(), 3);
  ASSERT_EQ(linear->out(), 2);
  TestMatrix x = Of(2, 3, {1, 1, 1, 2, 0, -1}), out(2, 2, DType::kF32, 3);
  ASSERT_STATUS_OK(backend_->Gemm(x, *linear, Activation::kNone, false, out));
  EXPECT_EQ(out.values(), (std::vector<float>{16, 20, 9, 17}));
  ASSERT_STATUS_OK(backend_->Gemm(x, *linear, Activation::kNone, true, out));
  EXPECT_EQ(out.values(), (std::vector<float>{32, 40, 18, 34}));
  out.ExpectSentinels("out");
}

TEST_F(RefBackendTest, StacksAndTransposesWeights) {
  const float a[] = {1, 2, 3, 4}, b[] = {5, 6};  // (in 2, out 2) and (in 2, out 1)
  const auto linear = Pack({{{a, DType::kF32, {2, 2}}, {b, DType::kF32, {2, 1}}}, {}, true});
  TestMatrix x = Of(1, 2, {1, 10}), out(1, 3, DType::kF32);
  ASSERT_STATUS_OK(backend_->Gemm(x, *linear, Activation::kNone, false, out));
  EXPECT_EQ(out.values(), (std::vector<float>{31, 42, 65}));
}

TEST_F(RefBackendTest, Activations) {
  const float one = 1;
  const auto identity = Pack({{{&one, DType::kF32, {1, 1}}}});
  TestMatrix x = Of(3, 1, {0, 1, -1}), out(3, 1, DType::kF32);
  ASSERT_STATUS_OK(backend_->Gemm(x, *identity, Activation::kGelu, false, out));
  ExpectClose(out.values(), {0, 0.841344746f, -0.158655254f}, 1e-7, "gelu");  // x * Phi(x)
  ASSERT_STATUS_OK(backend_->Gemm(x, *identity, Activation::kQuickGelu, false, out));
  ExpectClose(out.values(), {0, 0.8457958f, -0.1542042f}, 1e-6, "quick gelu");  // 1/(1+e^-1.702)
  ASSERT_STATUS_OK(backend_->Gemm(x, *identity, Activation::kTanhGelu, false, out));
  // PyTorch's gelu(x, approximate="tanh").
  ExpectClose(out.values(), {0, 0.841191990608f, -0.158808009392f}, 1e-7, "tanh gelu");
}

TEST_F(RefBackendTest, LayerNorm) {
  TestMatrix x = Of(2, 2, {1, 3, -5, -5}), out(2, 2, DType::kF32);
  const float gamma[] = {1, 2}, beta[] = {0, 10};
  ASSERT_STATUS_OK(backend_->LayerNorm(x, gamma, beta, 1e-12f, out));
  ExpectClose(out.values(), {-1, 12, 0, 10}, 1e-6, "with beta");
  ASSERT_STATUS_OK(backend_->LayerNorm(x, gamma, nullptr, 1e-12f, out));
  ExpectClose(out.values(), {-1, 2, 0, 0}, 1e-6, "without beta");
}

TEST_F(RefBackendTest, AddsALayerNorm) {
  TestMatrix x = Of(2, 2, {1, 3, -5, -5}), residual = Of(2, 2, {100, 200, 300, 400});
  const float gamma[] = {1, 2}, beta[] = {0, 10};
  TestMatrix out(2, 2, DType::kF32, 1);
  ASSERT_STATUS_OK(backend_->AddLayerNorm(x, gamma, beta, 1e-12f, residual, out));
  ExpectClose(out.values(), {99, 212, 300, 410}, 1e-6, "out");
  EXPECT_EQ(residual.values(), out.values());
  ASSERT_STATUS_OK(backend_->AddLayerNorm(x, gamma, nullptr, 1e-12f, residual, x));
  ExpectClose(x.values(), {98, 214, 300, 410}, 1e-6, "in place, without beta");
}

TEST_F(RefBackendTest, Rotates) {
  // Two tokens of two heads of two pairs; the first token's angles are none and a quarter.
  TestMatrix x = Of(2, 8, {1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8});
  TestMatrix angles = Of(2, 4, {1, 0, 0, 1, 0.6f, 0.8f, -1, 0});
  ASSERT_STATUS_OK(backend_->Rope(x, angles));
  ExpectClose(x.values(), {1, 2, -4, 3, 5, 6, -8, 7, -1, 2, -3, -4, -1.8f, 7.6f, -7, -8}, 1e-6,
              "turned");
}

TEST_F(RefBackendTest, GatesBySilu) {
  TestMatrix x = Of(2, 4, {0, 1, 5, 2, -1, 100, 3, -2}), out(2, 2, DType::kF32, 1);
  ASSERT_STATUS_OK(backend_->GatedSilu(x, out));
  // 1 / (1 + 1/e) = 0.731058578630005
  ExpectClose(out.values(), {0, 1.46211715726f, -0.80682426411f, -200}, 1e-7, "gated");
}

TEST_F(RefBackendTest, Attention) {
  // Two keys whose scores differ by ln 3 for the first query and by nothing for the second.
  const float log3 = std::log(3.0f);
  TestMatrix q = Of(2, 1, {1, 0}), k = Of(2, 1, {0, log3}), v = Of(2, 1, {4, 8});
  TestMatrix out(2, 1, DType::kF32);
  AttentionArgs args;
  args.q = q, args.k = k, args.v = v, args.out = out;
  args.batch = 1, args.q_tokens = 2, args.kv_tokens = 2, args.heads = 1, args.head_dim = 1;
  ASSERT_STATUS_OK(backend_->Attention(args));
  ExpectClose(out.values(), {7, 6}, 1e-6, "full");  // 1/4 and 3/4; 1/2 and 1/2
  args.scale = 0;
  ASSERT_STATUS_OK(backend_->Attention(args));
  ExpectClose(out.values(), {6, 6}, 1e-6, "scale 0");
  args.causal = true;
  ASSERT_STATUS_OK(backend_->Attention(args));
  ExpectClose(out.values(), {4, 6}, 1e-6, "causal");
  const int32_t length = 1, none = 0;
  args.causal = false;
  args.kv_lengths = &length;
  ASSERT_STATUS_OK(backend_->Attention(args));
  ExpectClose(out.values(), {4, 4}, 1e-6, "one key");
  args.kv_lengths = &none;
  ASSERT_STATUS_OK(backend_->Attention(args));
  EXPECT_EQ(out.values(), (std::vector<float>{0, 0})) << "no key gives zeros";
}

TEST_F(RefBackendTest, AssembleTokens) {
  TestMatrix patches = Of(4, 1, {1, 2, 3, 4}), position = Of(3, 1, {10, 20, 30});
  TestMatrix out(6, 1, DType::kF32);
  const float class_token = 7;
  ASSERT_STATUS_OK(backend_->AssembleTokens(patches, &class_token, position, 2, out));
  EXPECT_EQ(out.values(), (std::vector<float>{17, 21, 32, 17, 23, 34}));
  TestMatrix bare(4, 1, DType::kF32);
  ASSERT_STATUS_OK(backend_->AssembleTokens(patches, nullptr, position.get().Rows(0, 2), 2, bare));
  EXPECT_EQ(bare.values(), (std::vector<float>{11, 22, 13, 24}));
}

TEST_F(RefBackendTest, EmbedTokensAndGatherRows) {
  TestMatrix table = Of(3, 2, {1, 2, 3, 4, 5, 6}), position = Of(2, 2, {10, 20, 30, 40});
  TestMatrix out(4, 2, DType::kF32);
  const int32_t ids[] = {2, 0, 1, 1};
  ASSERT_STATUS_OK(backend_->EmbedTokens(ids, table, position, 2, out));
  EXPECT_EQ(out.values(), (std::vector<float>{15, 26, 31, 42, 13, 24, 33, 44}));
  ASSERT_STATUS_OK(backend_->GatherRows(table, ids, out));
  EXPECT_EQ(out.values(), (std::vector<float>{5, 6, 1, 2, 3, 4, 3, 4}));
}

TEST_F(RefBackendTest, AverageTokens) {
  TestMatrix x = Of(6, 2, {9, 9, 1, 2, 3, 6, 8, 8, -1, 0, 0, 5}), out(2, 2, DType::kF32);
  ASSERT_STATUS_OK(backend_->AverageTokens(x, 1, out));
  EXPECT_EQ(out.values(), (std::vector<float>{2, 4, -0.5f, 2.5f}));
}

TEST_F(RefBackendTest, NormalizeRows) {
  TestMatrix x = Of(2, 2, {3, -4, 0, 0});
  ASSERT_STATUS_OK(backend_->NormalizeRows(x));
  ExpectClose(x.values(), {0.6f, -0.8f, 0, 0}, 1e-7, "rows");
}

TEST_F(RefBackendTest, Similarity) {
  TestMatrix e = Of(1, 2, {1, 2}), bank = Of(4, 2, {1, 0, 0, 1, 2, 0, 0, 1});
  TestMatrix cosines(1, 4, DType::kF32);
  ASSERT_STATUS_OK(backend_->Similarity(e, bank, cosines));
  EXPECT_EQ(cosines.values(), (std::vector<float>{1, 2, 2, 2}));
}

TEST_F(RefBackendTest, UploadConvertsAndCopies) {
  const uint16_t halves[] = {0x3c00, 0xc000};  // 1, -2
  auto memory = backend_->Upload({halves, DType::kF16, {2}}, DType::kF32);
  ASSERT_TRUE(memory.ok()) << memory.status().message();
  float host[2];
  ASSERT_STATUS_OK(backend_->CopyToHost({(*memory)->data(), DType::kF32, 1, 2, 2}, host));
  EXPECT_EQ(host[0], 1.0f);
  EXPECT_EQ(host[1], -2.0f);
  const float other[] = {5, 6};
  ASSERT_STATUS_OK(backend_->CopyFromHost(other, sizeof other, (*memory)->data()));
  ASSERT_STATUS_OK(backend_->CopyToHost({(*memory)->data(), DType::kF32, 2, 1, 1}, host));
  EXPECT_EQ(host[1], 6.0f);
  EXPECT_FALSE(backend_->Upload({halves, DType::kF16, {2}}, DType::kI32).ok());
}

TEST(Half, ConvertsEveryPatternThereAndBack) {
  for (uint32_t h = 0; h < 0x10000; ++h) {
    const uint16_t word = static_cast<uint16_t>(h);
    const float half = HalfToFloat(word), bf16 = Bf16ToFloat(word);
    if (std::isnan(half)) {
      EXPECT_TRUE(std::isnan(HalfToFloat(FloatToHalf(half)))) << h;
    } else {
      ASSERT_EQ(FloatToHalf(half), word);
    }
    if (std::isnan(bf16)) {
      EXPECT_TRUE(std::isnan(Bf16ToFloat(FloatToBf16(bf16)))) << h;
    } else {
      ASSERT_EQ(FloatToBf16(bf16), word);
    }
  }
}

TEST(Half, RoundsToNearestEven) {
  EXPECT_EQ(FloatToBf16(1.0f + 0x1p-8f), 0x3f80);             // tie: to even
  EXPECT_EQ(FloatToBf16(1.0f + 0x1p-8f + 0x1p-20f), 0x3f81);  // above the tie
  EXPECT_EQ(FloatToBf16(1.0f + 0x3p-8f), 0x3f82);             // tie: to even, upwards
  EXPECT_EQ(FloatToHalf(1.0f + 0x1p-11f), 0x3c00);
  EXPECT_EQ(FloatToHalf(1.0f + 0x3p-11f), 0x3c02);
  EXPECT_EQ(FloatToHalf(65504.0f), 0x7bff);
  EXPECT_EQ(FloatToHalf(65520.0f), 0x7c00);  // rounds to infinity
  EXPECT_EQ(FloatToHalf(0x1p-24f), 0x0001);
  EXPECT_EQ(FloatToHalf(0x1p-25f), 0x0000);  // tie: to even
  EXPECT_EQ(FloatToHalf(-0x3p-25f), 0x8002);
}

TEST_F(RefBackendTest, Convolves) {
  // One channel; the window sums the pixel above and twice the pixel itself.
  const float window[] = {0, 1, 0, 0, 2, 0, 0, 0, 0}, bias = 10;
  ConvolutionSpec spec;
  spec.weight = {window, DType::kF32, {1, 1, 3, 3}};
  spec.bias = {&bias, DType::kF32, {1}};
  spec.padding = 1;
  const auto convolution = backend_->PackConvolution(spec);
  ASSERT_TRUE(convolution.ok());
  TestMatrix x = Of(4, 1, {1, 2, 3, 4}), r = Of(4, 1, {0, -20, 0, -30}), out(4, 1, DType::kF32);
  const FeatureMap in{x, 1, 2, 2}, residual{r, 1, 2, 2}, to{out, 1, 2, 2};
  ASSERT_STATUS_OK(backend_->Convolve(in, **convolution, nullptr, false, to));
  EXPECT_EQ(out.values(), (std::vector<float>{12, 14, 17, 20}));
  ASSERT_STATUS_OK(backend_->Convolve(in, **convolution, &residual, true, to));
  EXPECT_EQ(out.values(), (std::vector<float>{12, 0, 17, 0}));
  // Channels are summed, strides skip.
  const float pair[] = {1, 10};  // (out 1, in 2, 1, 1)
  spec = {};
  spec.weight = {pair, DType::kF32, {1, 2, 1, 1}};
  spec.stride = 2;
  const auto skip = backend_->PackConvolution(spec);
  TestMatrix two = Of(3, 2, {1, 2, 3, 4, 5, 6}), ends(2, 1, DType::kF32);
  ASSERT_STATUS_OK(backend_->Convolve({two, 1, 1, 3}, **skip, nullptr, false, {ends, 1, 1, 2}));
  EXPECT_EQ(ends.values(), (std::vector<float>{21, 65}));
}

TEST_F(RefBackendTest, ConvolvesDepthwise) {
  // Two outputs of each of two inputs: the pixel and its double, then ten times it and its
  // negative.
  const float factors[] = {1, 2, 10, -1};
  ConvolutionSpec spec;
  spec.weight = {factors, DType::kF32, {4, 1, 1, 1}};
  spec.groups = 2;
  const auto convolution = backend_->PackConvolution(spec);
  ASSERT_TRUE(convolution.ok());
  EXPECT_EQ((*convolution)->in_channels(), 2);
  TestMatrix x = Of(2, 2, {1, 2, 3, 4}), out(2, 4, DType::kF32);
  ASSERT_STATUS_OK(backend_->Convolve({x, 1, 1, 2}, **convolution, nullptr, false, {out, 1, 1, 2}));
  EXPECT_EQ(out.values(), (std::vector<float>{1, 2, 20, -2, 3, 6, 40, -4}));
  spec.activation = Activation::kGelu;
  const auto bent = backend_->PackConvolution(spec);
  ASSERT_STATUS_OK(backend_->Convolve({x, 1, 1, 2}, **bent, nullptr, false, {out, 1, 1, 2}));
  EXPECT_NEAR(out.values()[0], 0.8413447, 1e-6);
  EXPECT_NEAR(out.values()[3], -0.0455003, 1e-6);
}

TEST_F(RefBackendTest, Gates) {
  TestMatrix x = Of(2, 2, {1, 2, 3, 4}), gates = Of(1, 2, {0, -1000}), out(2, 2, DType::kF32);
  ASSERT_STATUS_OK(
      backend_->SqueezeExcite({x, 1, 1, 2}, gates.get(), Activation::kNone, {out, 1, 1, 2}));
  EXPECT_EQ(out.values(), (std::vector<float>{0.5, 0, 1.5, 0}));
}

TEST_F(RefBackendTest, AveragesSquares) {
  TestMatrix x = Of(6, 1, {1, 3, 100, 5, 7, 100}), out(1, 1, DType::kF32);  // (2, 3)
  ASSERT_STATUS_OK(backend_->AveragePool({x, 1, 2, 3}, 2, {out, 1, 1, 1}));
  EXPECT_EQ(out.values(), (std::vector<float>{4}));
}

TEST_F(RefBackendTest, ConvolutionsThatCannotBe) {
  const float weight[9] = {};
  ConvolutionSpec spec;
  spec.weight = {weight, DType::kF32, {1, 1, 3, 3}};
  const auto convolution = backend_->PackConvolution(spec);
  ASSERT_TRUE(convolution.ok());
  TestMatrix x(4, 1, DType::kF32), out(4, 1, DType::kF32);
  const FeatureMap in{x, 1, 2, 2}, to{out, 1, 2, 2};
  EXPECT_EQ(backend_->Convolve(in, **convolution, nullptr, false, to).message(),
            "Convolve: x is smaller than the window.");
  EXPECT_NE(backend_->AveragePool(in, 2, to).message().find("1x2x2x1 but should be 1x1x1x1"),
            std::string::npos);
  spec.padding = 3;
  EXPECT_EQ(backend_->PackConvolution(spec).status().code(), StatusCode::kInvalidArgument);
  spec.weight.shape = {1, 1, 3, 2};
  EXPECT_EQ(backend_->PackConvolution(spec).status().code(), StatusCode::kInvalidArgument);
}

TEST(Choice, ByNameAndByValue) {
  EXPECT_STREQ(ToString(Precision::kInt8), "int8");
  EXPECT_EQ(FindChoice(kPrecisions, "int8"), Precision::kInt8);
  EXPECT_EQ(FindChoice(kPrecisions, "fp64"), std::nullopt);
  EXPECT_STREQ(ToString(BackendKind::kRef), "ref");
  EXPECT_EQ(FindChoice(kBackends, "ref"), std::nullopt);
}

}  // namespace
}  // namespace cliptag
