// The plan of a batch, and that its kernel reads nothing outside of the frames' planes.
#include <sys/mman.h>
#include <unistd.h>

#include <string>

#include "tests/cuda/preprocess_support.h"

namespace cliptag::cuda {
namespace {

// Bytes right before (or behind) a page that nobody may touch.
class GuardedPlane {
 public:
  GuardedPlane(const uint8_t* from, size_t bytes, bool at_end) {
    const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    const size_t room = (bytes + page - 1) / page * page;
    length_ = room + 2 * page;
    base_ = static_cast<uint8_t*>(
        mmap(nullptr, length_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    EXPECT_EQ(mprotect(base_ + page, room, PROT_READ | PROT_WRITE), 0);
    data_ = base_ + page + (at_end ? room - bytes : 0);
    std::memcpy(data_, from, bytes);
  }
  ~GuardedPlane() { munmap(base_, length_); }
  GuardedPlane(const GuardedPlane&) = delete;
  GuardedPlane& operator=(const GuardedPlane&) = delete;
  const uint8_t* data() const { return data_; }

 private:
  uint8_t *base_ = nullptr, *data_ = nullptr;
  size_t length_ = 0;
};

// The frame with each of its planes in guarded memory, all of it from the first sample to the last.
class GuardedFrame {
 public:
  GuardedFrame(const FrameView& view, bool at_end) : view_(view) {
    const uint8_t *begin[3] = {}, *end[3] = {};
    for (int c = 0; c < ComponentCount(view); ++c) {
      const Component& component = view.component[c];
      const uint8_t* last = component.data + (SamplesY(view, c) - 1) * component.row_stride;
      begin[c] = std::min(component.data, last);
      end[c] = std::max(component.data, last) + (SamplesX(view, c) - 1) * component.pixel_stride +
               view.bytes_per_sample;
    }
    for (int c = 0; c < ComponentCount(view); ++c) {
      const uint8_t *first = begin[c], *behind = end[c];
      for (int other = 0; other < ComponentCount(view); ++other) {
        if (begin[other] >= behind || first >= end[other]) continue;
        first = std::min(first, begin[other]);
        behind = std::max(behind, end[other]);
      }
      if (plane_of_.empty() || plane_of_.back() != first) {
        planes_.push_back(
            std::make_unique<GuardedPlane>(first, static_cast<size_t>(behind - first), at_end));
        plane_of_.push_back(first);
      }
      view_.component[c].data = planes_.back()->data() + (view.component[c].data - first);
    }
  }
  const FrameView& view() const { return view_; }

 private:
  FrameView view_;
  std::vector<const uint8_t*> plane_of_;
  std::vector<std::unique_ptr<GuardedPlane>> planes_;
};

TEST(PreprocessMemory, NothingOutsideOfThePlanesIsRead) {
  for (const Layout& layout : AllLayouts()) {
    for (const int width : {96, 130, 77}) {
      for (const int padding : {0, 6, 16}) {
        for (const bool at_end : {false, true}) {
          SCOPED_TRACE(testing::Message() << layout.name << " " << width << " + " << padding);
          const TestFrame frame =
              MakeFrame(layout, width, 60, Noise(1, layout, width), padding, padding == 6);
          const GuardedFrame guarded(frame.view, at_end);
          ExpectCudaIsRef<Half>({&guarded.view(), 1},
                                PlainSpec(32, 32, Fit::kSquash, Interpolation::kBilinear));
        }
      }
    }
  }
}

TEST(PreprocessPlan, FramesOfEqualGeometryShareTheirFilters) {
  const Layout& layout = LayoutNamed("NV12");
  const TestFrame frame = MakeFrame(layout, 64, 48, Noise(1, layout, 64));
  const std::vector<FrameView> views(9, frame.view);
  const PreprocessSpec spec = PlainSpec(32, 16, Fit::kCrop, Interpolation::kBicubic);
  PreprocessPlan one, nine;
  ASSERT_TRUE(one.Build(std::span(views).first(1), spec).ok());
  ASSERT_TRUE(nine.Build(views, spec).ok());
  EXPECT_EQ(nine.table().size() - one.table().size(), 8 * sizeof(PreprocessFrame));
  EXPECT_EQ(nine.blocks(), 9 * one.blocks());
}

// More geometries than the cache holds, twice.
TEST(PreprocessPlan, ManyGeometries) {
  const Layout& layout = LayoutNamed("I420");
  TestFrame frame = MakeFrame(layout, 80, 60, Noise(1, layout, 80));
  std::vector<FrameView> views;
  for (int i = 0; i < 60; ++i) {
    views.push_back(frame.view);
    views.back().crop = {i % 7, i % 5, 73 - i, 55 - i / 2};
  }
  PreprocessPlan plan;
  const PreprocessSpec spec = PlainSpec(16, 16, Fit::kCrop, Interpolation::kBilinear);
  for (int turn = 0; turn < 2; ++turn) {
    PreprocessRun<Half> run(views, spec, plan);
    for (int i = 0; i < 60; ++i) {
      EXPECT_LE(ErrorInSteps<Half>(run.Frame(i), RunRef(views[static_cast<size_t>(i)], spec), spec),
                kTensorSteps);
    }
  }
}

TEST(PreprocessPlan, SmallestShapes) {
  PreprocessPlan plan;
  ASSERT_TRUE(plan.Build({}, PlainSpec(32, 16, Fit::kCrop, Interpolation::kBicubic)).ok());
  EXPECT_EQ(plan.blocks(), 0u);
  EmulatedLauncher launcher;
  LaunchPreprocess(plan, nullptr, static_cast<Half*>(nullptr), 0, launcher);
  EXPECT_EQ(launcher.launches(), 0);
  const TestFrame frame = MakeFrame(LayoutNamed("NV12"), 1, 1, [](int, int, int) { return 7; });
  for (const int size : {1, 2, 15, 17}) {
    ExpectCudaIsRef<Half>({&frame.view, 1}, PlainSpec(size, 1, Fit::kCrop, Interpolation::kBicubic),
                          1);
  }
}

TEST(PreprocessPlan, InputsBeyondTheLimit) {
  const TestFrame frame = MakeFrame(LayoutNamed("NV12"), 2, 2, [](int, int, int) { return 7; });
  PreprocessPlan plan;
  const Status status = plan.Build(
      {&frame.view, 1}, PlainSpec(kMaxPreprocessSize, 64, Fit::kCrop, Interpolation::kBicubic));
  EXPECT_EQ(status.code(), StatusCode::kUnsupported);
  EXPECT_THAT(status.message(), testing::HasSubstr("32768"));
}

// x / patch by multiplication.
TEST(PreprocessPlan, PatchInverse) {
  for (int patch = 1; patch < kMaxPreprocessSize; patch = patch < 70 ? patch + 1 : patch * 2 + 1) {
    for (int x = 0; x < kMaxPreprocessSize; ++x) {
      ASSERT_EQ(uint64_t{static_cast<unsigned>(x)} * cuda::PatchInverse(patch) >> 31,
                static_cast<unsigned>(x / patch))
          << x << " / " << patch;
    }
  }
}

}  // namespace
}  // namespace cliptag::cuda
