// CpuPreprocessor against the oracle: every layout, size, crop, orientation and fit, at every
// instruction set that this machine has. 8-bit RGB and gray are equal byte for byte.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "kernels/cpu/preprocess/preprocess.h"
#include "kernels/shared/resample.h"
#include "tests/preprocess/all_kernels.h"
#include "tests/preprocess/pictures.h"

namespace cliptag {
namespace {

// Frames' patches with a sentinel around every row of the output.
std::vector<float> RunCpu(CpuPreprocessor& cpu, std::span<const FrameView> frames,
                          const PreprocessSpec& spec) {
  const int64_t grid = spec.size / spec.patch, cols = int64_t{3} * spec.patch * spec.patch;
  const int64_t rows = grid * grid * static_cast<int64_t>(frames.size()), stride = cols + 3;
  constexpr float kSentinel = -12345.0f;
  std::vector<float> out((rows + 1) * stride, kSentinel);
  const Status status = cpu.Run(frames, spec, {&out[3], DType::kF32, rows, cols, stride});
  EXPECT_TRUE(status.ok()) << status.message();
  std::vector<float> dense;
  for (int64_t r = 0; r <= rows; ++r) {
    for (int i = 0; i < 3; ++i) EXPECT_EQ(out[r * stride + i], kSentinel) << "before row " << r;
    if (r < rows) dense.insert(dense.end(), &out[r * stride + 3], &out[(r + 1) * stride]);
  }
  return dense;
}

// How far a value may be off, where `spec` leaves values in 0..1. 8-bit RGB and gray: the same
// bytes. Other 8-bit samples are summed up with weights of 14 to 17 fraction bits: six weights near
// one, or thirty of a tenth, are off by less than 1e-4, times 1.9 of the colour matrix; a twentieth
// of an 8-bit step. The rest: single precision against double; sums of up to some hundred products
// of values below 1 (relative to the top code) and weights whose absolute sum is below 1.6 err by
// less than 1e-5, a four-hundredth of an 8-bit step.
float ToleranceOf(const FrameView& view) {
  if (IsPlain8Bit(view)) return 1e-6f;
  return view.bytes_per_sample == 1 ? 2e-4f : 1e-5f;
}

void ExpectSame(const std::vector<float>& got, const std::vector<float>& want,
                const FrameView& view) {
  ASSERT_EQ(got.size(), want.size());
  const float tolerance = ToleranceOf(view);
  int different = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    if (!(std::abs(got[i] - want[i]) <= tolerance) && ++different == 1) {
      ADD_FAILURE() << "value " << i << " is " << got[i] << ", the reference's " << want[i];
    }
  }
  EXPECT_EQ(different, 0) << "values differ of " << got.size();
}

void ExpectCpuIsRef(const FrameView& view, const PreprocessSpec& spec, ThreadPool* pool = nullptr) {
  const std::vector<float> want = RunRef(view, spec);
  for (const PreprocessKernels* kernels : AllKernels()) {
    SCOPED_TRACE(kernels->name);
    CpuPreprocessor cpu(pool, *kernels);
    ExpectSame(RunCpu(cpu, {&view, 1}, spec), want, view);
  }
}

class LayoutTest : public testing::TestWithParam<Layout> {};

INSTANTIATE_TEST_SUITE_P(All, LayoutTest, testing::ValuesIn(AllLayouts()),
                         [](const auto& info) { return std::string(info.param.name); });

TEST_P(LayoutTest, SizesAndFits) {
  const Layout& layout = GetParam();
  const int sizes[][2] = {{1, 1},   {2, 1},    {3, 5},    {16, 16},
                          {33, 17}, {97, 131}, {203, 78}, {320, 181}};
  for (const auto& size : sizes) {
    const TestFrame frame = MakeFrame(layout, size[0], size[1], Noise(1, layout, size[0]), 5);
    for (const Fit fit : {Fit::kCrop, Fit::kSquash, Fit::kLetterbox}) {
      for (const Interpolation filter : {Interpolation::kBicubic, Interpolation::kBilinear}) {
        SCOPED_TRACE(std::to_string(size[0]) + "x" + std::to_string(size[1]) + " fit " +
                     std::to_string(static_cast<int>(fit)) + " filter " +
                     std::to_string(static_cast<int>(filter)));
        ExpectCpuIsRef(frame.view, PlainSpec(39, 5, fit, filter));
      }
    }
  }
}

TEST_P(LayoutTest, OrientationsWithOddCrops) {
  const Layout& layout = GetParam();
  TestFrame frame = MakeFrame(layout, 111, 86, Noise(2, layout, 111));
  const Rect crops[] = {{}, {1, 1, 64, 51}, {13, 7, 97, 79}, {110, 85, 1, 1}, {4, 2, 3, 84}};
  for (int orientation = 0; orientation < 8; ++orientation) {
    for (const Rect& crop : crops) {
      frame.view.orientation = static_cast<Orientation>(orientation);
      frame.view.crop = crop;
      SCOPED_TRACE("orientation " + std::to_string(orientation) + ", crop of " +
                   std::to_string(crop.width) + " at " + std::to_string(crop.x));
      ExpectCpuIsRef(frame.view, PlainSpec(35, 7, Fit::kCrop, Interpolation::kBicubic));
      ExpectCpuIsRef(frame.view, PlainSpec(35, 7, Fit::kLetterbox, Interpolation::kBilinear));
    }
  }
}

TEST_P(LayoutTest, PixelsThatAreNotSquare) {
  const Layout& layout = GetParam();
  TestFrame frame = MakeFrame(layout, 111, 86, Noise(2, layout, 111));
  CpuPreprocessor cpu(nullptr);  // one, whose plans must tell the aspects apart
  for (const PixelAspect pixel : {PixelAspect{2, 1}, {64, 45}, {1, 3}, {65535, 1}}) {
    frame.view.pixel = pixel;
    for (const Orientation orientation : {Orientation::kRotate0, Orientation::kFlipRotate90}) {
      frame.view.orientation = orientation;
      for (const Fit fit : {Fit::kCrop, Fit::kSquash, Fit::kLetterbox}) {
        SCOPED_TRACE(std::to_string(pixel.width) + ":" + std::to_string(pixel.height) + " fit " +
                     std::to_string(static_cast<int>(fit)));
        const PreprocessSpec spec = PlainSpec(35, 7, fit, Interpolation::kBicubic);
        ExpectCpuIsRef(frame.view, spec);
        ExpectSame(RunCpu(cpu, {&frame.view, 1}, spec), RunRef(frame.view, spec), frame.view);
      }
    }
  }
}

TEST_P(LayoutTest, RowsThatRunBackwards) {
  const Layout& layout = GetParam();
  const SampleFunction noise = Noise(3, layout, 75);
  const PreprocessSpec spec = PlainSpec(32, 8, Fit::kCrop, Interpolation::kBicubic);
  const TestFrame down = MakeFrame(layout, 75, 58, noise);
  const TestFrame up = MakeFrame(layout, 75, 58, noise, 11, true);
  ASSERT_LT(up.view.component[0].row_stride, 0);
  ExpectCpuIsRef(up.view, spec);
  EXPECT_EQ(RunRef(up.view, spec), RunRef(down.view, spec));
}

TEST_P(LayoutTest, RangesMatricesAndSitings) {
  const Layout& layout = GetParam();
  TestFrame frame = MakeFrame(layout, 90, 67, Noise(4, layout, 90));
  const PreprocessSpec spec = PlainSpec(32, 16, Fit::kCrop, Interpolation::kBicubic);
  for (int matrix = 0; matrix <= static_cast<int>(YuvMatrix::kFcc); ++matrix) {
    for (int flags = 0; flags < 8; ++flags) {
      frame.view.matrix = static_cast<YuvMatrix>(matrix);
      frame.view.full_range = flags & 1;
      frame.view.chroma_cosited_x = flags & 2;
      frame.view.chroma_cosited_y = flags & 4;
      ExpectCpuIsRef(frame.view, spec);
    }
  }
}

TEST(CpuPreprocess, ExtremeShapes) {
  const int sizes[][2] = {{1, 8192}, {8192, 1}, {3, 4000}, {4000, 3}};
  for (const char* name : {"RGB", "I420", "NV12", "P010_10LE"}) {
    const Layout& layout = LayoutNamed(name);
    for (const auto& size : sizes) {
      SCOPED_TRACE(std::string(name) + " " + std::to_string(size[0]));
      TestFrame frame = MakeFrame(layout, size[0], size[1], Noise(5, layout, size[0]));
      for (const Fit fit : {Fit::kCrop, Fit::kSquash, Fit::kLetterbox}) {
        for (const Orientation o : {Orientation::kRotate0, Orientation::kRotate90}) {
          frame.view.orientation = o;
          ExpectCpuIsRef(frame.view, PlainSpec(48, 16, fit, Interpolation::kBicubic));
        }
      }
    }
  }
}

// 8192x8192 whole and a part of it, from one pattern of bytes that every format can be laid over.
TEST(CpuPreprocess, HugeFrames) {
  constexpr int kSize = 8192;
  std::vector<uint8_t> bytes(size_t{3} * kSize * kSize);
  for (size_t y = 0; y < kSize; ++y) {
    uint8_t* row = &bytes[y * 3 * kSize];
    for (size_t x = 0; x < 3 * kSize; ++x) row[x] = static_cast<uint8_t>(x / 7 * 31 + y / 5 * 17);
  }
  FrameView rgb = RgbView(bytes.data(), 3 * kSize, kSize, kSize, RgbOrder::kRgb);
  FrameView nv12 = rgb;
  nv12.kind = PixelKind::kYuv;
  nv12.chroma_shift_x = nv12.chroma_shift_y = 1;
  nv12.component[0] = {bytes.data(), kSize, 1};
  nv12.component[1] = {bytes.data() + size_t{kSize} * kSize, kSize, 2};
  nv12.component[2] = {bytes.data() + size_t{kSize} * kSize + 1, kSize, 2};
  for (FrameView* view : {&rgb, &nv12}) {
    SCOPED_TRACE(view == &rgb ? "RGB" : "NV12");
    for (const Rect& crop : {Rect{}, Rect{4001, 17, 131, 8000}}) {
      view->crop = crop;
      const PreprocessSpec spec = PlainSpec(24, 24, Fit::kCrop, Interpolation::kBilinear);
      CpuPreprocessor cpu(nullptr);
      ExpectSame(RunCpu(cpu, {view, 1}, spec), RunRef(*view, spec), *view);
    }
  }
}

TEST(CpuPreprocess, BarsHaveTheFillColour) {
  const Layout& layout = LayoutNamed("RGB");
  const TestFrame frame = MakeFrame(layout, 90, 30, Noise(6, layout, 90));
  PreprocessSpec spec = PlainSpec(30, 10, Fit::kLetterbox, Interpolation::kBicubic);
  for (int c = 0; c < 3; ++c) {
    spec.fill[c] = 0.25f * (c + 1);
    spec.mean[c] = 0.4f + 0.05f * c;
    spec.std[c] = 0.25f + 0.01f * c;
  }
  CpuPreprocessor cpu(nullptr);
  const std::vector<float> planes = Unpatch(RunCpu(cpu, {&frame.view, 1}, spec), 30, 10);
  for (int c = 0; c < 3; ++c) {
    const float bar = (spec.fill[c] - spec.mean[c]) / spec.std[c];
    for (const int y : {0, 9, 20, 29}) {
      for (int x = 0; x < 30; ++x) EXPECT_NEAR(planes[(c * 30 + y) * 30 + x], bar, 1e-6);
    }
    EXPECT_GT(std::abs(planes[(c * 30 + 10) * 30 + 3] - bar), 1e-6);
  }
}

// What convolutions are given: a row a pixel, the same numbers.
TEST(CpuPreprocess, PatchesOfOnePixel) {
  const Layout& layout = LayoutNamed("RGB");
  const TestFrame frame = MakeFrame(layout, 90, 61, Noise(6, layout, 90));
  CpuPreprocessor cpu(nullptr);
  const PreprocessSpec pixels = PlainSpec(30, 1, Fit::kCrop, Interpolation::kBicubic);
  const PreprocessSpec patches = PlainSpec(30, 10, Fit::kCrop, Interpolation::kBicubic);
  EXPECT_EQ(Unpatch(RunCpu(cpu, {&frame.view, 1}, pixels), 30, 1),
            Unpatch(RunCpu(cpu, {&frame.view, 1}, patches), 30, 10));
}

// Many frames of different formats in one call, on threads, equal to each alone; again with the
// plans cached; and with more geometries than the cache holds.
TEST(CpuPreprocess, BatchesOnAPool) {
  ThreadPool pool(3);
  for (const PreprocessKernels* kernels : AllKernels()) {
    CpuPreprocessor cpu(&pool, *kernels);
    std::vector<TestFrame> frames;
    std::vector<FrameView> views;
    const PreprocessSpec spec = PlainSpec(64, 16, Fit::kCrop, Interpolation::kBicubic);
    for (int i = 0; i < 40; ++i) {
      const Layout& layout = AllLayouts()[i % AllLayouts().size()];
      frames.push_back(MakeFrame(layout, 70 + 3 * i, 150 - 2 * i, Noise(i, layout, 70 + 3 * i)));
      views.push_back(frames.back().view);
      views.back().orientation = static_cast<Orientation>(i % 8);
    }
    for (const size_t count :
         {size_t{1}, size_t{2}, size_t{3}, size_t{5}, size_t{40}, size_t{40}}) {
      const std::vector<float> got = RunCpu(cpu, {views.data(), count}, spec);
      const size_t each = got.size() / count;
      for (size_t i = 0; i < count; ++i) {
        SCOPED_TRACE(std::string(kernels->name) + " frame " + std::to_string(i));
        ExpectSame({got.begin() + i * each, got.begin() + (i + 1) * each}, RunRef(views[i], spec),
                   views[i]);
      }
    }
  }
}

float FromBf16(uint16_t bits) {
  const uint32_t word = static_cast<uint32_t>(bits) << 16;
  float value;
  std::memcpy(&value, &word, sizeof(value));
  return value;
}

TEST(CpuPreprocess, Bf16IsTheF32ResultRounded) {
  for (const char* name : {"RGB", "NV12"}) {
    const Layout& layout = LayoutNamed(name);
    const TestFrame frame = MakeFrame(layout, 100, 80, Noise(7, layout, 100));
    PreprocessSpec spec = PlainSpec(45, 14, Fit::kCrop, Interpolation::kBicubic);
    for (int c = 0; c < 3; ++c) spec.mean[c] = 0.45f, spec.std[c] = 0.27f;
    for (const PreprocessKernels* kernels : AllKernels()) {
      SCOPED_TRACE(std::string(name) + " " + kernels->name);
      CpuPreprocessor cpu(nullptr, *kernels);
      const std::vector<float> want = RunCpu(cpu, {&frame.view, 1}, spec);
      std::vector<uint16_t> out(want.size(), 0x7FFF);
      const Status status =
          cpu.Run({&frame.view, 1}, spec, {out.data(), DType::kBF16, 9, 3 * 14 * 14, 3 * 14 * 14});
      ASSERT_TRUE(status.ok()) << status.message();
      for (size_t i = 0; i < out.size(); ++i) {
        // To nearest: half a unit in the last of 8 bits.
        ASSERT_LE(std::abs(FromBf16(out[i]) - want[i]), std::abs(want[i]) / 256) << i;
      }
    }
  }
}

TEST(CpuPreprocess, NormalisesAsTheReference) {
  for (const char* name : {"RGB", "GRAY8", "I420", "GRAY16_LE"}) {
    const Layout& layout = LayoutNamed(name);
    const TestFrame frame = MakeFrame(layout, 100, 80, Noise(8, layout, 100));
    PreprocessSpec spec = PlainSpec(32, 8, Fit::kCrop, Interpolation::kBicubic);
    const float mean[] = {0.48145466f, 0.4578275f, 0.40821073f};
    const float std[] = {0.26862954f, 0.26130258f, 0.27577711f};
    for (int c = 0; c < 3; ++c) spec.mean[c] = mean[c], spec.std[c] = std[c];
    const std::vector<float> want = RunRef(frame.view, spec);
    for (const PreprocessKernels* kernels : AllKernels()) {
      SCOPED_TRACE(std::string(name) + " " + kernels->name);
      CpuPreprocessor cpu(nullptr, *kernels);
      const std::vector<float> got = RunCpu(cpu, {&frame.view, 1}, spec);
      // ExpectSame's bound over the smallest std.
      const float tolerance = std::max(4e-5f, 4 * ToleranceOf(frame.view));
      for (size_t i = 0; i < got.size(); ++i) ASSERT_NEAR(got[i], want[i], tolerance) << i;
    }
  }
}

}  // namespace
}  // namespace cliptag
