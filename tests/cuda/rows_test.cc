// The kernels that go over rows once: activations, gates, rotary positions, token assembly,
// embedding, gathering, unit length.
#include "kernels/cuda/rows/activation.cuh"
#include "kernels/cuda/rows/average.cuh"
#include "kernels/cuda/rows/gated_silu.cuh"
#include "kernels/cuda/rows/gather.cuh"
#include "kernels/cuda/rows/normalize.cuh"
#include "kernels/cuda/rows/rope.cuh"
#include "tests/cuda/test_support.h"

namespace cliptag::cuda {
namespace {

// --- activations
// -------------------------------------------------------------------------------------

double Exact(Activation activation, double x) {
  if (activation == Activation::kGelu) return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0)));
  if (activation == Activation::kQuickGelu) return x / (1 + std::exp(-1.702 * x));
  if (activation == Activation::kTanhGelu) {
    return 0.5 * x * (1 + std::tanh(std::sqrt(2 / std::acos(-1.0)) * (x + 0.044715 * x * x * x)));
  }
  return x;
}

template <typename In, typename Out>
void CheckActivation(Activation activation, int cols, int padding, bool with_bias) {
  SCOPED_TRACE(testing::Message() << TypeName<In>() << " to " << TypeName<Out>() << ", "
                                  << static_cast<int>(activation) << ", " << cols << " + "
                                  << padding);
  constexpr int kRows = 3;
  DeviceMatrix<In> in(kRows, cols, cols + padding);
  DeviceMatrix<Out> out(kRows, cols, cols + 2 * padding);
  DeviceMatrix<float> bias(1, cols, cols);
  Random random(static_cast<uint32_t>(cols));
  in.Fill(random, 3);
  bias.Fill(random);

  ActivationParams<In, Out> p{
      in.data(), with_bias ? bias.data() : nullptr, out.data(), in.stride(), out.stride(), kRows,
      cols};
  EmulatedLauncher launcher;
  LaunchActivation(activation, p, launcher);
  ASSERT_EQ(launcher.report().error, "");
  EXPECT_TRUE(out.SentinelsIntact());
  std::vector<float> expected, plain;
  for (int r = 0; r < kRows; ++r) {
    for (int i = 0; i < cols; ++i) {
      const float b = with_bias ? bias.at(0, i) : 0;
      const float x = ToFloat(in.at(r, i)) + b;
      expected.push_back(static_cast<float>(Exact(activation, double{ToFloat(in.at(r, i))} + b)));
      plain.push_back(Round<Out>(
          activation == Activation::kGelu        ? 0.5f * x * (1 + std::erf(x * std::sqrt(0.5f)))
          : activation == Activation::kQuickGelu ? x / (1 + std::exp(-1.702f * x))
          : activation == Activation::kTanhGelu
              ? 0.5f * x * (1 + std::tanh(0.79788456f * (x + 0.044715f * x * x * x)))
              : x));
    }
  }
  ExpectAsGoodAsPlain(out.ToHost(), plain, expected, 1e-7);
}

TEST(Activations, EveryKindTypeAndWidth) {
  for (const Activation activation :
       {Activation::kNone, Activation::kGelu, Activation::kQuickGelu, Activation::kTanhGelu}) {
    for (const int cols : {8, 256, 2048, 2056, 3072, 1, 13, 300}) {
      CheckActivation<Half, Half>(activation, cols, 8, true);
      CheckActivation<BFloat16, BFloat16>(activation, cols, 8, false);
      CheckActivation<float, float>(activation, cols, 0, true);
      CheckActivation<float, Half>(activation, cols, 0, true);
      CheckActivation<float, BFloat16>(activation, cols, 3, true);
    }
  }
}

TEST(Activations, FarFromZero) {
  for (const Activation activation :
       {Activation::kGelu, Activation::kQuickGelu, Activation::kTanhGelu}) {
    const float values[] = {-1000, -300, -90, -60, 0, 60, 300, 1000};
    DeviceMatrix<float> x(1, 8, 8);
    std::copy_n(values, 8, x.data());
    EmulatedLauncher launcher;
    LaunchActivation(activation,
                     ActivationParams<float, float>{x.data(), nullptr, x.data(), 8, 8, 1, 8},
                     launcher);
    ASSERT_EQ(launcher.report().error, "");
    for (int i = 0; i < 8; ++i) EXPECT_FLOAT_EQ(x.at(0, i), std::max(values[i], 0.0f)) << i;
  }
}

TEST(Activations, InPlace) {
  DeviceMatrix<Half> x(5, 64, 64);
  Random random(1);
  x.Fill(random);
  const std::vector<float> before = x.ToHost();
  EmulatedLauncher launcher;
  const ActivationParams<Half, Half> p{x.data(), nullptr, x.data(), 64, 64, 5, 64};
  LaunchActivation(Activation::kQuickGelu, p, launcher);
  ASSERT_EQ(launcher.report().error, "");
  const std::vector<float> after = x.ToHost();
  for (size_t i = 0; i < before.size(); ++i) {
    ASSERT_NEAR(after[i], Exact(Activation::kQuickGelu, before[i]), 2e-3) << i;
  }
}

// --- gates and rotary positions
// ---------------------------------------------------------------------------

template <typename T>
void CheckGate(int cols, int padding, bool in_place) {
  SCOPED_TRACE(testing::Message() << TypeName<T>() << ", " << cols << " + " << padding
                                  << (in_place ? ", in place" : ""));
  constexpr int kRows = 3;
  DeviceMatrix<T> x(kRows, 2 * cols, 2 * cols + padding), out(kRows, cols, cols + 2 * padding);
  Random random(static_cast<uint32_t>(cols));
  x.Fill(random, 4);
  const std::vector<float> before = x.ToHost();
  EmulatedLauncher launcher;
  LaunchGatedSilu(GatedSiluParams<T>{x.data(), in_place ? x.data() : out.data(), x.stride(),
                                     in_place ? x.stride() : out.stride(), kRows, cols},
                  launcher);
  ASSERT_EQ(launcher.report().error, "");
  EXPECT_TRUE(x.SentinelsIntact());
  EXPECT_TRUE(out.SentinelsIntact());
  std::vector<float> found, expected, plain;
  for (int r = 0; r < kRows; ++r) {
    for (int i = 0; i < cols; ++i) {
      const float gate = before[static_cast<size_t>(r * 2 * cols + i)];
      const float value = before[static_cast<size_t>(r * 2 * cols + cols + i)];
      found.push_back(ToFloat(in_place ? x.at(r, i) : out.at(r, i)));
      expected.push_back(static_cast<float>(gate / (1 + std::exp(-double{gate})) * value));
      plain.push_back(Round<T>(gate / (1 + std::exp(-gate)) * value));
      const float second = ToFloat(x.at(r, cols + i));
      ASSERT_EQ(second, value) << "the values stay";
    }
  }
  ExpectAsGoodAsPlain(found, plain, expected, 1e-6);
}

TEST(GatedSilu, EveryTypeAndWidth) {
  for (const int cols : {8, 256, 2048, 2056, 1, 13, 300}) {
    for (const bool in_place : {false, true}) {
      CheckGate<Half>(cols, 8, in_place);
      CheckGate<BFloat16>(cols, 8, in_place);
      CheckGate<BFloat16>(cols, 3, in_place);
    }
  }
}

TEST(GatedSilu, FarFromZero) {
  const float gates[] = {-1000, -300, -90, -60, 0, 60, 300, 1000};
  DeviceMatrix<BFloat16> x(1, 16, 16), out(1, 8, 8);
  for (int i = 0; i < 8; ++i) {
    x.at(0, i) = FromFloat<BFloat16>(gates[i]);
    x.at(0, 8 + i) = FromFloat<BFloat16>(2);
  }
  EmulatedLauncher launcher;
  LaunchGatedSilu(GatedSiluParams<BFloat16>{x.data(), out.data(), 16, 8, 1, 8}, launcher);
  ASSERT_EQ(launcher.report().error, "");
  for (int i = 0; i < 8; ++i) {
    EXPECT_NEAR(ToFloat(out.at(0, i)), 2 * ToFloat(x.at(0, i)) * (gates[i] > 0), 1e-20) << i;
  }
}

template <typename T>
void CheckRope(int tokens, int heads, int head_dim, int padding) {
  SCOPED_TRACE(testing::Message() << TypeName<T>() << ", " << heads << " x " << head_dim << " + "
                                  << padding);
  const int rows = 2 * tokens, cols = heads * head_dim;
  DeviceMatrix<T> x(rows, cols, cols + padding);
  DeviceMatrix<float> angles(tokens, head_dim, head_dim + padding);
  Random random(static_cast<uint32_t>(cols));
  x.Fill(random);
  angles.Fill(random);
  const std::vector<float> before = x.ToHost();
  EmulatedLauncher launcher;
  LaunchRope(RopeParams<T>{x.data(), angles.data(), x.stride(), angles.stride(), rows, cols, tokens,
                           head_dim},
             launcher);
  ASSERT_EQ(launcher.report().error, "");
  EXPECT_TRUE(x.SentinelsIntact());
  EXPECT_TRUE(angles.SentinelsIntact());
  std::vector<float> exact = before, table = angles.ToHost(), plain(before.size());
  const Status status =
      CreateRefBackend()->Rope(HostMatrix(exact, rows, cols), HostMatrix(table, tokens, head_dim));
  ASSERT_TRUE(status.ok()) << status.message();
  for (size_t i = 0; i < plain.size(); i += 2) {
    const size_t row = i / static_cast<size_t>(cols) % static_cast<size_t>(tokens);
    const size_t place = i % static_cast<size_t>(cols) % static_cast<size_t>(head_dim);
    const float* turn = &table[row * static_cast<size_t>(head_dim) + place];
    plain[i] = Round<T>(before[i] * turn[0] - before[i + 1] * turn[1]);
    plain[i + 1] = Round<T>(before[i + 1] * turn[0] + before[i] * turn[1]);
  }
  ExpectAsGoodAsPlain(x.ToHost(), plain, exact, 1e-6);
}

TEST(Rope, EveryTypeAndWidth) {
  for (const auto& [heads, head_dim] :
       {std::pair{24, 64}, {1, 8}, {3, 16}, {5, 72}, {32, 64}, {1, 2}, {3, 4}, {2, 20}, {7, 44}}) {
    CheckRope<Half>(3, heads, head_dim, 8);
    CheckRope<BFloat16>(4, heads, head_dim, 0);
    CheckRope<BFloat16>(2, heads, head_dim, 6);
  }
}

// --- assembling and gathering: additions of two f32 values and copies, so exact
// -----------------------

template <typename In, typename Out = float>
void CheckAssemble(int batch, int patches, int cols, int padding, bool with_class_token) {
  SCOPED_TRACE(testing::Message() << TypeName<In>() << " to " << TypeName<Out>() << ", batch "
                                  << batch << ", " << patches << " x " << cols << " + " << padding);
  const int tokens = patches + (with_class_token ? 1 : 0);
  DeviceMatrix<In> in(batch * patches, cols, cols + padding);
  DeviceMatrix<float> class_token(1, cols, cols), position(tokens, cols, cols + padding);
  DeviceMatrix<Out> out(batch * tokens, cols, cols + padding);
  Random random(static_cast<uint32_t>(cols + tokens));
  in.Fill(random);
  class_token.Fill(random);
  position.Fill(random);
  AssembleTokensParams<In, Out> p;
  p.patches = in.data();
  p.class_token = with_class_token ? class_token.data() : nullptr;
  p.position = position.data();
  p.out = out.data();
  p.patches_stride = in.stride();
  p.position_stride = position.stride();
  p.out_stride = out.stride();
  p.batch = batch;
  p.tokens = tokens;
  p.cols = cols;
  EmulatedLauncher launcher;
  LaunchAssembleTokens(p, launcher);
  ASSERT_EQ(launcher.report().error, "");
  EXPECT_TRUE(out.SentinelsIntact());

  std::vector<float> patch_values = in.ToHost(), positions = position.ToHost();
  std::vector<float> expected(static_cast<size_t>(batch * tokens * cols));
  const Status status = CreateRefBackend()->AssembleTokens(
      HostMatrix(patch_values, batch * patches, cols), p.class_token,
      HostMatrix(positions, tokens, cols), batch, HostMatrix(expected, batch * tokens, cols));
  ASSERT_TRUE(status.ok()) << status.message();
  for (float& value : expected) value = ToFloat(FromFloat<Out>(value));
  EXPECT_EQ(out.ToHost(), expected);
}

TEST(AssembleTokens, EveryTypeAndWidth) {
  for (const int cols : {64, 768, 1024, 1032, 1, 9, 130}) {
    for (const bool class_token : {true, false}) {
      CheckAssemble<Half>(3, 4, cols, 8, class_token);
      CheckAssemble<BFloat16>(2, 9, cols, 0, class_token);
      CheckAssemble<Half, Half>(2, 5, cols, 0, class_token);
      CheckAssemble<BFloat16, BFloat16>(3, 4, cols, 8, class_token);
      CheckAssemble<float>(1, 49, cols, 1, class_token);
      CheckAssemble<float, Half>(2, 4, cols, 8, class_token);
      CheckAssemble<float, BFloat16>(2, 4, cols, 0, class_token);
    }
  }
}

template <typename Table>
void CheckEmbed(int rows, int tokens, int cols, int padding) {
  SCOPED_TRACE(testing::Message() << TypeName<Table>() << ", " << rows << " x " << cols << " + "
                                  << padding);
  DeviceMatrix<Table> table(11, cols, cols + padding);
  DeviceMatrix<float> position(tokens, cols, cols + padding), out(rows, cols, cols + padding);
  DeviceBuffer<int32_t> ids(static_cast<size_t>(rows));
  Random random(static_cast<uint32_t>(cols));
  table.Fill(random);
  position.Fill(random);
  for (int32_t& id : ids.span()) id = random.Below(11);
  ids[0] = 10;
  EmbedTokensParams<Table> p{
      ids.data(),   table.data(), position.data(), out.data(), table.stride(), position.stride(),
      out.stride(), rows,         tokens,          cols};
  EmulatedLauncher launcher;
  LaunchEmbedTokens(p, launcher);
  ASSERT_EQ(launcher.report().error, "");
  EXPECT_TRUE(out.SentinelsIntact());
  for (int r = 0; r < rows; ++r) {
    for (int i = 0; i < cols; ++i) {
      ASSERT_EQ(out.at(r, i),
                ToFloat(table.at(ids[static_cast<size_t>(r)], i)) + position.at(r % tokens, i))
          << r << ", " << i;
    }
  }
}

TEST(EmbedTokens, EveryTypeAndWidth) {
  for (const int cols : {64, 512, 1280, 3, 77}) {
    CheckEmbed<Half>(6, 3, cols, 8);
    CheckEmbed<BFloat16>(5, 5, cols, 0);
    CheckEmbed<float>(4, 2, cols, 5);
  }
}

template <typename T>
void CheckGather(int cols, int padding) {
  SCOPED_TRACE(testing::Message() << TypeName<T>() << ", " << cols << " + " << padding);
  DeviceMatrix<T> x(6, cols, cols + padding), out(4, cols, cols + padding);
  Random random(5);
  x.Fill(random);
  DeviceBuffer<int32_t> indices(4);
  const int32_t chosen[] = {5, 0, 3, 3};
  std::copy_n(chosen, 4, indices.data());
  GatherRowsParams p;
  p.x = x.data();
  p.indices = indices.data();
  p.out = out.data();
  p.x_stride_bytes = x.stride() * static_cast<int64_t>(sizeof(T));
  p.out_stride_bytes = out.stride() * static_cast<int64_t>(sizeof(T));
  p.row_bytes = cols * static_cast<int64_t>(sizeof(T));
  p.rows = 4;
  EmulatedLauncher launcher;
  LaunchGatherRows(p, launcher);
  ASSERT_EQ(launcher.report().error, "");
  EXPECT_TRUE(out.SentinelsIntact());
  for (int r = 0; r < 4; ++r) {
    for (int i = 0; i < cols; ++i) {
      ASSERT_EQ(ToFloat(out.at(r, i)), ToFloat(x.at(chosen[r], i))) << r << ", " << i;
    }
  }
}

TEST(GatherRows, EveryTypeAndWidth) {
  for (const int cols : {8, 512, 2048, 2056, 1, 7, 150}) {
    for (const int padding : {0, 8, 3}) {
      CheckGather<Half>(cols, padding);
      CheckGather<float>(cols, padding);
    }
  }
}

void CheckAverage(int batch, int tokens, int skip, int cols, int padding) {
  SCOPED_TRACE(testing::Message() << batch << " x " << tokens << " x " << cols << " + " << padding
                                  << " without " << skip);
  DeviceMatrix<float> x(batch * tokens, cols, cols + padding), out(batch, cols, cols + padding);
  Random random(static_cast<uint32_t>(cols));
  x.Fill(random);
  EmulatedLauncher launcher;
  LaunchAverageTokens({x.data(), out.data(), x.stride(), out.stride(), batch, tokens, skip, cols},
                      launcher);
  ASSERT_EQ(launcher.report().error, "");
  EXPECT_TRUE(out.SentinelsIntact());
  std::vector<float> in = x.ToHost(), expected(static_cast<size_t>(batch * cols));
  const Status status = CreateRefBackend()->AverageTokens(HostMatrix(in, batch * tokens, cols),
                                                          skip, HostMatrix(expected, batch, cols));
  ASSERT_TRUE(status.ok()) << status.message();
  EXPECT_LE(LargestError(out.ToHost(), expected), 1e-6);
}

TEST(AverageTokens, EverySize) {
  for (const int cols : {1, 31, 32, 33, 768}) {
    CheckAverage(2, 50, 1, cols, 0);
    CheckAverage(1, 7, 0, cols, 3);
    CheckAverage(3, 2, 1, cols, 8);
  }
}

// --- unit length
// -------------------------------------------------------------------------------------

void CheckNormalize(int rows, int cols, int padding, float scale) {
  SCOPED_TRACE(testing::Message() << rows << " x " << cols << " + " << padding << ", " << scale);
  DeviceMatrix<float> x(rows, cols, cols + padding);
  Random random(static_cast<uint32_t>(cols));
  x.Fill(random, scale);
  std::vector<float> expected = x.ToHost();
  const Status status = CreateRefBackend()->NormalizeRows(HostMatrix(expected, rows, cols));
  ASSERT_TRUE(status.ok()) << status.message();
  EmulatedLauncher launcher;
  LaunchNormalizeRows(NormalizeParams{x.data(), x.stride(), rows, cols}, launcher);
  ASSERT_EQ(launcher.report().error, "");
  EXPECT_TRUE(x.SentinelsIntact());
  // Values are at most 1: a few roundings of the sum and two divisions.
  EXPECT_LE(LargestError(x.ToHost(), expected), 4e-7);
}

TEST(NormalizeRows, EveryWidth) {
  for (const int cols : {512, 768, 1280, 8, 1, 5, 513}) {
    for (const int rows : {1, 3, 4, 6}) CheckNormalize(rows, cols, 8, 3);
    CheckNormalize(2, cols, 1, 1);
  }
}

TEST(NormalizeRows, TinyAndHugeRowsKeepTheirLength) {
  CheckNormalize(2, 512, 0, 1e-25f);
  CheckNormalize(2, 512, 0, 1e30f);
}

TEST(NormalizeRows, ZeroStaysZero) {
  DeviceMatrix<float> x(2, 40, 40);
  for (int i = 0; i < 40; ++i) {
    x.at(0, i) = 0;
    x.at(1, i) = i == 3 ? -2.0f : 0.0f;
  }
  EmulatedLauncher launcher;
  LaunchNormalizeRows(NormalizeParams{x.data(), 40, 2, 40}, launcher);
  ASSERT_EQ(launcher.report().error, "");
  for (int i = 0; i < 40; ++i) {
    EXPECT_EQ(x.at(0, i), 0);
    EXPECT_EQ(x.at(1, i), i == 3 ? -1 : 0);
  }
}

}  // namespace
}  // namespace cliptag::cuda
