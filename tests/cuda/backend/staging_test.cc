// What the CUDA backend copies of a frame: enough, and no more than it says. Host code alone.
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "kernels/cuda/frame_staging.h"
#include "kernels/shared/needed_samples.h"
#include "tests/preprocess/pictures.h"

namespace cliptag::cuda {
namespace {

// The frame as it lies in the slot: what the copies bring, poison around it.
struct Staged {
  FrameView view;
  std::vector<StagedPlane> planes;
  std::vector<std::byte> slot;
};

Staged Stage(const FrameView& frame, const PreprocessSpec& spec, uint8_t poison) {
  Staged staged;
  size_t bytes = 100;  // as if another frame were before it
  (void)PlanStaging(frame, spec, nullptr, &bytes, &staged.planes);
  staged.slot.assign(bytes, std::byte{poison});
  staged.planes.clear();
  bytes = 100;
  staged.view = PlanStaging(frame, spec, staged.slot.data(), &bytes, &staged.planes);
  EXPECT_EQ(bytes, staged.slot.size());
  for (const StagedPlane& plane : staged.planes) {
    for (int row = 0; row < plane.rows; ++row) {
      std::memcpy(staged.slot.data() + plane.offset + row * plane.pitch,
                  plane.source + row * plane.source_stride, plane.row_bytes);
    }
  }
  EXPECT_EQ(staged.view.memory, FrameMemory::kCuda);
  staged.view.memory = FrameMemory::kHost;  // for the oracle
  return staged;
}

void ExpectSamePixels(const FrameView& frame, const PreprocessSpec& spec) {
  const std::vector<float> expected = RunRef(frame, spec);
  for (const uint8_t poison : {0, 255}) {
    const Staged staged = Stage(frame, spec, poison);
    EXPECT_EQ(RunRef(staged.view, spec), expected);
  }
}

TEST(Staging, BringsWhatIsNeededOfEveryLayout) {
  for (const Layout& layout : AllLayouts()) {
    for (const bool upside_down : {false, true}) {
      SCOPED_TRACE(std::string(layout.name) + (upside_down ? " upside down" : ""));
      const TestFrame frame = MakeFrame(layout, 131, 77, Noise(1, layout, 131), 5, upside_down);
      for (const Fit fit : {Fit::kCrop, Fit::kSquash, Fit::kLetterbox}) {
        ExpectSamePixels(frame.view, PlainSpec(16, 8, fit, Interpolation::kBicubic));
      }
      ExpectSamePixels(frame.view, PlainSpec(200, 14, Fit::kCrop, Interpolation::kBilinear));
    }
  }
}

TEST(Staging, BringsWhatIsNeededOfTurnedAndCroppedFrames) {
  for (const char* name : {"NV12", "RGB", "I420", "YUY2"}) {
    const Layout& layout = LayoutNamed(name);
    const TestFrame frame = MakeFrame(layout, 90, 61, Noise(2, layout, 90));
    for (int orientation = 0; orientation < 8; ++orientation) {
      for (const Rect crop : {Rect{}, Rect{13, 7, 41, 50}, Rect{89, 60, 1, 1}}) {
        SCOPED_TRACE(std::string(name) + " orientation " + std::to_string(orientation) + " crop " +
                     std::to_string(crop.x));
        FrameView view = frame.view;
        view.orientation = static_cast<Orientation>(orientation);
        view.crop = crop;
        ExpectSamePixels(view, PlainSpec(24, 8, Fit::kCrop, Interpolation::kBicubic));
      }
    }
  }
}

TEST(Staging, ComponentsOfTheSameRowsAreCopiedOnce) {
  const auto planes = [](const char* name) {
    const Layout& layout = LayoutNamed(name);
    const TestFrame frame = MakeFrame(layout, 64, 64, Noise(3, layout, 64));
    return Stage(frame.view, PlainSpec(32, 16, Fit::kCrop, Interpolation::kBicubic), 0)
        .planes.size();
  };
  EXPECT_EQ(planes("RGB"), 1u);
  EXPECT_EQ(planes("YUY2"), 1u);
  EXPECT_EQ(planes("GRAY8"), 1u);
  EXPECT_EQ(planes("NV12"), 2u);
  EXPECT_EQ(planes("I420"), 3u);
}

TEST(Staging, LeavesOutWhatTheCentreCropDoes) {
  const Layout& layout = LayoutNamed("NV12");
  const TestFrame frame = MakeFrame(layout, 1920, 1080, Noise(4, layout, 1920));
  const Staged staged =
      Stage(frame.view, PlainSpec(224, 32, Fit::kCrop, Interpolation::kBicubic), 0);
  size_t bytes = 0;
  for (const StagedPlane& plane : staged.planes) {
    bytes += plane.row_bytes * static_cast<size_t>(plane.rows);
  }
  const double whole = 1920 * 1080 * 1.5, square = 1080 * 1080 * 1.5;
  EXPECT_GE(static_cast<double>(bytes), square);
  EXPECT_LT(static_cast<double>(bytes), square * 1.03) << "filter support alone";
  EXPECT_LT(static_cast<double>(bytes), whole * 0.6);
}

}  // namespace
}  // namespace cliptag::cuda
