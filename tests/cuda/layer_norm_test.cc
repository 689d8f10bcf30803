// Layer norm, alone and before a residual addition, against the oracle.
#include "kernels/cuda/rows/layer_norm.cuh"

#include <numeric>

#include "tests/cuda/test_support.h"

namespace cliptag::cuda {
namespace {

struct LayerNormCase {
  int rows = 3, cols = 64;
  int padding = 8;  // between rows, elements
  bool beta = true, in_place = false;
  bool residual = false;  // of 16-bit rows
  int residual_padding = 8;
  uint32_t order = 0;
  float offset = 0;  // of every value: a mean far from zero
};

template <typename Out, typename In>
class LayerNormRun {
 public:
  explicit LayerNormRun(const LayerNormCase& c)
      : case_(c),
        x_(c.rows, c.cols, c.cols + c.padding),
        out_(c.rows, c.cols, c.cols + c.padding),
        residual_(c.rows, c.cols, c.cols + c.residual_padding),
        vectors_(2, c.cols, c.cols) {
    Random random(static_cast<uint32_t>(c.cols));
    x_.Fill(random, 2);
    for (int64_t r = 0; r < x_.rows(); ++r) {
      for (int64_t i = 0; i < c.cols; ++i) {
        x_.at(r, i) = FromFloat<In>(ToFloat(x_.at(r, i)) + c.offset);
      }
    }
    residual_.Fill(random, 2);
    vectors_.Fill(random);
  }

  void Check() {
    const std::vector<float> x = x_.ToHost();
    const std::vector<float> before = residual_.ToHost();
    LayerNormParams<Out, In> p;
    p.x = x_.data();
    p.gamma = vector(0);
    p.beta = case_.beta ? vector(1) : nullptr;
    p.x_stride = x_.stride();
    p.out_stride = out_.stride();
    p.rows = case_.rows;
    p.cols = case_.cols;
    p.epsilon = 1e-5f;
    p.out = out_.data();
    if constexpr (std::is_same_v<Out, In>) {
      if (case_.in_place) {
        p.out = x_.data();
        p.out_stride = x_.stride();
      }
    }
    p.residual = case_.residual ? residual_.data() : nullptr;
    p.residual_stride = residual_.stride();
    EmulatedLauncher launcher(case_.order);
    LaunchLayerNorm(p, launcher);
    ASSERT_EQ(launcher.report().error, "");
    EXPECT_TRUE(x_.SentinelsIntact());
    EXPECT_TRUE(out_.SentinelsIntact());
    EXPECT_TRUE(residual_.SentinelsIntact());
    if (!case_.in_place) {
      EXPECT_EQ(x_.ToHost(), x);
    }
    CheckOutput(x, before);
  }

 private:
  float* vector(int i) { return vectors_.data() + i * vectors_.stride(); }

  // Sums in f32 in the order of the columns; `before`, where there is a residual, is added.
  template <typename To>
  std::vector<float> Plain(const std::vector<float>& x, const std::vector<float>& before) {
    std::vector<float> out(x.size());
    const size_t cols = static_cast<size_t>(case_.cols);
    for (size_t r = 0; r < x.size() / cols; ++r) {
      const float* row = &x[r * cols];
      const float mean = std::accumulate(row, row + cols, 0.0f) / static_cast<float>(cols);
      float variance = 0;
      for (size_t i = 0; i < cols; ++i) variance += (row[i] - mean) * (row[i] - mean);
      const float scale = 1 / std::sqrt(variance / static_cast<float>(cols) + 1e-5f);
      for (size_t i = 0; i < cols; ++i) {
        out[r * cols + i] =
            Round<To>((row[i] - mean) * scale * vector(0)[i] + (case_.beta ? vector(1)[i] : 0.0f) +
                      (case_.residual ? before[r * cols + i] : 0.0f));
      }
    }
    return out;
  }

  void CheckOutput(std::vector<float> x, const std::vector<float>& before) {
    std::vector<float> expected(x.size());
    const Status status = CreateRefBackend()->LayerNorm(
        HostMatrix(x, case_.rows, case_.cols), vector(0), case_.beta ? vector(1) : nullptr, 1e-5f,
        HostMatrix(expected, case_.rows, case_.cols));
    ASSERT_TRUE(status.ok()) << status.message();
    const std::vector<float> result = case_.in_place ? x_.ToHost() : out_.ToHost();
    if (case_.residual) {
      for (size_t i = 0; i < expected.size(); ++i) expected[i] += before[i];
      const std::vector<float> sums = residual_.ToHost();
      ExpectAsGoodAsPlain(sums, Plain<float>(x, before), expected, 1e-6);
      for (size_t i = 0; i < sums.size(); ++i) ASSERT_EQ(result[i], Round<Out>(sums[i])) << i;
      return;
    }
    EXPECT_EQ(residual_.ToHost(), before);
    ExpectAsGoodAsPlain(result, Plain<Out>(x, before), expected, 1e-6);
  }

  LayerNormCase case_;
  DeviceMatrix<In> x_;
  DeviceMatrix<Out> out_;
  DeviceMatrix<float> residual_;
  DeviceMatrix<float> vectors_;  // gamma, beta
};

template <typename Out, typename In>
void Check(const LayerNormCase& c) {
  SCOPED_TRACE(testing::Message() << TypeName<Out>() << " from " << TypeName<In>() << ", " << c.rows
                                  << " x " << c.cols << ", padding " << c.padding);
  LayerNormRun<Out, In>(c).Check();
}

TEST(LayerNorm, EveryWidthAndType) {
  // Widths of the registers' kernels at and around their limits, then odd ones.
  for (const int cols :
       {8, 64, 248, 256, 264, 512, 768, 776, 1024, 1280, 2048, 2056, 1, 7, 33, 257}) {
    Check<Half, float>({.cols = cols, .order = 1});
    Check<BFloat16, float>({.cols = cols});
    Check<float, float>({.cols = cols});
  }
}

TEST(LayerNorm, RowsThatDoNotFillABlock) {
  for (const int rows : {1, 2, 3, 4, 5, 9}) Check<Half, float>({.rows = rows, .cols = 72});
}

TEST(LayerNorm, InPlace) {
  for (const int cols : {512, 515}) {
    Check<float, float>({.cols = cols, .in_place = true, .order = 4});
  }
}

TEST(LayerNorm, OfShortRows) {
  for (const int cols : {8, 248, 256, 264, 768, 776, 1024, 1280, 2048, 2056, 1, 7, 129, 2730}) {
    for (const bool in_place : {false, true}) {
      Check<Half, Half>({.cols = cols, .in_place = in_place, .order = 2});
      Check<BFloat16, BFloat16>({.cols = cols, .padding = 3, .in_place = in_place});
    }
  }
}

TEST(LayerNorm, AddedToTheResidualStream) {
  for (const int cols : {64, 768, 1024, 1792, 2304, 100, 129}) {
    for (const bool in_place : {false, true}) {
      for (const bool beta : {false, true}) {
        Check<Half, Half>(
            {.rows = 5, .cols = cols, .beta = beta, .in_place = in_place, .residual = true});
      }
      Check<BFloat16, BFloat16>(
          {.rows = 2, .cols = cols, .in_place = in_place, .residual = true, .order = 3});
      Check<BFloat16, BFloat16>(
          {.rows = 2, .cols = cols, .padding = 5, .in_place = in_place, .residual = true});
      Check<Half, Half>(
          {.rows = 2, .cols = cols, .in_place = in_place, .residual = true, .residual_padding = 1});
    }
  }
}

TEST(LayerNorm, WithoutBetaAndOddStrides) {
  Check<Half, float>({.cols = 256, .beta = false});
  Check<Half, float>({.cols = 256, .padding = 3});  // rows are not aligned
  Check<Half, float>({.cols = 99, .beta = false});
}

TEST(LayerNorm, MeanFarFromZero) {
  Check<float, float>({.cols = 1024, .offset = 3000});
  Check<float, float>({.cols = 1025, .offset = 3000});
}

}  // namespace
}  // namespace cliptag::cuda
