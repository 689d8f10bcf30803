// A batch through the CUDA preprocessing kernel under the emulation, and its result beside the
// reference's.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>
#include <span>
#include <vector>

#include "kernels/cuda/preprocess/launch.cuh"
#include "kernels/shared/preprocess_check.h"
#include "tests/cuda/test_support.h"
#include "tests/preprocess/pictures.h"

namespace cliptag::cuda {

// In 8-bit steps of a pixel, before the normalisation and beside the rounding of the output's type.
// Taps: sums of f32 against sums of doubles. Tensor cores: the samples are exact in f16; weights
// and the values between the products are rounded to its 11 bits: values of at most 128 from the
// middle err by 1/32 of a step, more where a window overshoots, and blue adds up to 2.1 of such to
// one.
inline constexpr double kTapsSteps = 3e-3, kTensorSteps = 0.35;

// The output's rounding, to nearest.
template <typename T>
double RoundingOf(double value) {
  return std::abs(value) * (std::is_same_v<T, Half> ? 0x1p-11 : 0x1p-8) + 0x1p-24;
}

template <typename T>
class PreprocessRun {
 public:
  // One row after the other with some padding; sentinels between and around are checked.
  PreprocessRun(std::span<const FrameView> frames, const PreprocessSpec& spec, PreprocessPlan& plan,
                int padding = 8, uint32_t order = 0)
      : grid_(spec.size / spec.patch),
        out_(static_cast<int64_t>(frames.size()) * grid_ * grid_,
             int64_t{3} * spec.patch * spec.patch, int64_t{3} * spec.patch * spec.patch + padding) {
    const Matrix matrix{out_.data(), DType::kF16, out_.rows(), out_.cols(), out_.stride()};
    Status status = CheckFrames(frames, spec, matrix);
    EXPECT_TRUE(status.ok()) << status.message();
    status = plan.Build(frames, spec);
    EXPECT_TRUE(status.ok()) << status.message();
    DeviceBuffer<std::byte> table(plan.table().size());
    std::copy(plan.table().begin(), plan.table().end(), table.data());
    EmulatedLauncher launcher(order);
    LaunchPreprocess(plan, table.data(), out_.data(), out_.stride(), launcher);
    EXPECT_EQ(launcher.launches(), 1);
    EXPECT_EQ(launcher.report().error, "");
    EXPECT_EQ(launcher.report().bank_conflicts, 0u);
    EXPECT_TRUE(out_.SentinelsIntact());
    EXPECT_TRUE(table.GuardsIntact());
  }

  std::vector<float> Frame(int index) {
    const std::vector<float> all = out_.ToHost();
    const auto each = static_cast<ptrdiff_t>(grid_ * grid_ * out_.cols());
    return {all.begin() + index * each, all.begin() + (index + 1) * each};
  }

 private:
  int64_t grid_;
  DeviceMatrix<T> out_;
};

inline PreprocessPath PathOf(const PreprocessPlan& plan, int index) {
  PreprocessFrame frame;
  std::memcpy(&frame, plan.table().data() + static_cast<size_t>(index) * sizeof(frame),
              sizeof(frame));
  return frame.path;
}

// Largest error in 8-bit steps beyond the output's rounding.
template <typename T>
double ErrorInSteps(const std::vector<float>& got, const std::vector<float>& want,
                    const PreprocessSpec& spec) {
  EXPECT_EQ(got.size(), want.size());
  double largest = 0;
  const size_t channel = static_cast<size_t>(spec.patch) * static_cast<size_t>(spec.patch);
  for (size_t i = 0; i < got.size(); ++i) {
    const double error = std::max(0.0, std::abs(double{got[i]} - want[i]) - RoundingOf<T>(want[i]));
    const double steps = error * spec.std[i / channel % 3] * 255;
    if (!(steps <= largest)) largest = steps;
    if (std::isnan(got[i])) return NAN;
  }
  return largest;
}

// The whole batch in one launch.
template <typename T>
void ExpectCudaIsRef(std::span<const FrameView> frames, const PreprocessSpec& spec,
                     int padding = 8) {
  PreprocessPlan plan;
  PreprocessRun<T> run(frames, spec, plan, padding);
  for (int i = 0; i < static_cast<int>(frames.size()); ++i) {
    const PreprocessPath path = PathOf(plan, i);
    const bool exact = path == PreprocessPath::kFixedTaps || path == PreprocessPath::kExact;
    const double allowed = exact                               ? 1e-4
                           : path == PreprocessPath::kRealTaps ? kTapsSteps
                                                               : kTensorSteps;
    const FrameView& view = frames[static_cast<size_t>(i)];
    EXPECT_EQ(exact, IsPlain8Bit(view));
    const double steps = ErrorInSteps<T>(run.Frame(i), RunRef(view, spec), spec);
    EXPECT_TRUE(steps <= allowed) << steps << " steps of 8 bits, frame " << i << ", path "
                                  << static_cast<int>(path) << ", " << TypeName<T>();
  }
}

// As CLIP's: what lies between 0 and 1 becomes -2 to 2.
inline PreprocessSpec ClipSpec(int size, int patch, Fit fit, Interpolation interpolation) {
  PreprocessSpec spec = PlainSpec(size, patch, fit, interpolation);
  const float mean[] = {0.48145466f, 0.4578275f, 0.40821073f};
  const float std[] = {0.26862954f, 0.26130258f, 0.27577711f};
  for (int c = 0; c < 3; ++c) {
    spec.mean[c] = mean[c];
    spec.std[c] = std[c];
    spec.fill[c] = 0.25f * static_cast<float>(c + 1);
  }
  return spec;
}

}  // namespace cliptag::cuda
