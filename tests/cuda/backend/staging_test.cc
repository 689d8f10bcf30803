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

// What the copies bring, laid out again in rows that are long enough for the oracle's checks,
// poison everywhere else.
struct Staged {
  FrameView view;
  std::vector<StagedPlane> planes;
  std::vector<std::vector<uint8_t>> copies;
};

Staged Stage(const FrameView& frame, const PreprocessSpec& spec, uint8_t poison) {
  constexpr size_t kRow = 8192;
  Staged staged;
  size_t bytes = 100;  // as if another frame were before it
  staged.view = PlanStaging(frame, spec, &bytes, &staged.planes);
  EXPECT_EQ(staged.view.memory, FrameMemory::kCuda);
  staged.view.memory = FrameMemory::kHost;
  for (const StagedPlane& plane : staged.planes) {
    EXPECT_GE(plane.pitch, plane.row_bytes);
    EXPECT_LE(plane.offset + plane.pitch * static_cast<size_t>(plane.rows), bytes);
    std::vector<uint8_t>& copy =
        staged.copies.emplace_back(kRow * static_cast<size_t>(plane.rows), poison);
    for (int row = 0; row < plane.rows; ++row) {
      std::memcpy(copy.data() + row * kRow, plane.source + row * plane.source_stride,
                  plane.row_bytes);
    }
  }
  const int count = frame.kind == PixelKind::kGray ? 1 : 3;
  for (int i = 0; i < count; ++i) {
    Component& c = staged.view.component[i];
    const Rect needed = NeededSamples(frame, i, spec);
    // The first sample that is needed, counted from the slot's start.
    const ptrdiff_t first = reinterpret_cast<intptr_t>(c.data) + needed.y * c.row_stride +
                            static_cast<ptrdiff_t>(needed.x) * c.pixel_stride;
    size_t p = 0;
    while (first < static_cast<ptrdiff_t>(staged.planes[p].offset) ||
           first >= static_cast<ptrdiff_t>(staged.planes[p].offset + staged.planes[p].row_bytes)) {
      if (++p == staged.planes.size()) {
        ADD_FAILURE() << "component " << i << " begins in no plane";
        return staged;
      }
    }
    EXPECT_EQ(c.row_stride, static_cast<ptrdiff_t>(staged.planes[p].pitch));
    c.row_stride = kRow;
    c.data = staged.copies[p].data() + first - staged.planes[p].offset -
             needed.y * static_cast<ptrdiff_t>(kRow) -
             static_cast<ptrdiff_t>(needed.x) * c.pixel_stride;
  }
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
