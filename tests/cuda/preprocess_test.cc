// The preprocessing kernel against the oracle: every layout, size, crop, orientation and fit.
#include <string>

#include "tests/cuda/preprocess_support.h"

namespace cliptag::cuda {
namespace {

class PreprocessLayout : public testing::TestWithParam<Layout> {};

INSTANTIATE_TEST_SUITE_P(All, PreprocessLayout, testing::ValuesIn(AllLayouts()),
                         [](const auto& info) { return std::string(info.param.name); });

TEST_P(PreprocessLayout, SizesAndFits) {
  const Layout& layout = GetParam();
  const int sizes[][2] = {{1, 1}, {3, 5}, {33, 17}, {97, 131}, {203, 78}};
  int turn = 0;
  for (const auto& size : sizes) {
    for (const Fit fit : {Fit::kCrop, Fit::kSquash, Fit::kLetterbox}) {
      const auto filter = turn % 2 == 0 ? Interpolation::kBicubic : Interpolation::kBilinear;
      SCOPED_TRACE(testing::Message()
                   << size[0] << "x" << size[1] << " fit " << static_cast<int>(fit));
      const TestFrame frame =
          MakeFrame(layout, size[0], size[1], Noise(1, layout, size[0]), turn % 4 * 5);
      if (turn++ % 3 == 0) {
        ExpectCudaIsRef<BFloat16>({&frame.view, 1}, ClipSpec(39, 5, fit, filter), 3);
      } else {
        ExpectCudaIsRef<Half>({&frame.view, 1}, ClipSpec(32, 16, fit, filter));
      }
    }
  }
}

TEST_P(PreprocessLayout, OrientationsWithOddCrops) {
  const Layout& layout = GetParam();
  TestFrame frame = MakeFrame(layout, 111, 86, Noise(2, layout, 111));
  const Rect crops[] = {{}, {1, 1, 64, 51}, {13, 7, 97, 79}, {110, 85, 1, 1}, {4, 2, 3, 84}};
  std::vector<FrameView> views;
  for (int orientation = 0; orientation < 8; ++orientation) {
    frame.view.orientation = static_cast<Orientation>(orientation);
    frame.view.crop = crops[orientation % 5];
    views.push_back(frame.view);
    frame.view.crop = crops[(orientation + 2) % 5];
    views.push_back(frame.view);
  }
  ExpectCudaIsRef<Half>(views, ClipSpec(35, 7, Fit::kCrop, Interpolation::kBicubic));
  ExpectCudaIsRef<BFloat16>(views, ClipSpec(28, 14, Fit::kLetterbox, Interpolation::kBilinear));
}

TEST_P(PreprocessLayout, PixelsThatAreNotSquare) {
  const Layout& layout = GetParam();
  TestFrame frame = MakeFrame(layout, 111, 86, Noise(2, layout, 111));
  std::vector<FrameView> views;
  for (const PixelAspect pixel : {PixelAspect{2, 1}, {64, 45}, {1, 3}, {65535, 1}}) {
    frame.view.pixel = pixel;
    for (const Orientation orientation : {Orientation::kRotate0, Orientation::kFlipRotate90}) {
      frame.view.orientation = orientation;
      views.push_back(frame.view);
    }
  }
  for (const Fit fit : {Fit::kCrop, Fit::kLetterbox}) {
    ExpectCudaIsRef<Half>(views, ClipSpec(35, 7, fit, Interpolation::kBicubic));
  }
}

// The copies of 16 bytes and of 4, whose addresses and strides are multiples of these; rows long
// enough for several strips of columns and windows of several steps of rows, a warp's ring around.
TEST(Preprocess, WideCopies) {
  for (const char* name :
       {"NV12", "I420", "P010_10LE", "YUY2", "Y212_LE", "GRAY16_LE", "RGB", "BGR", "RGBA"}) {
    const Layout& layout = LayoutNamed(name);
    for (const int width : {464, 408, 302}) {
      SCOPED_TRACE(testing::Message() << name << " " << width);
      const SampleFunction noise = Noise(3, layout, width);
      std::vector<TestFrame> frames;
      std::vector<FrameView> views;
      for (const bool upside_down : {false, true}) {
        for (const int padding : {0, 16, 4}) {
          frames.push_back(MakeFrame(layout, width, 270, noise, padding, upside_down));
          views.push_back(frames.back().view);
        }
      }
      ExpectCudaIsRef<Half>(views, ClipSpec(48, 16, Fit::kCrop, Interpolation::kBicubic));
      views.resize(1);
      views[0].crop = {101, 33, 160, 140};
      ExpectCudaIsRef<BFloat16>(views, ClipSpec(112, 14, Fit::kSquash, Interpolation::kBicubic));
    }
  }
}

TEST(Preprocess, CopiesOfEveryWidthAreTaken) {
  const Layout& layout = LayoutNamed("NV12");
  const SampleFunction noise = Noise(4, layout, 64);
  const int padding[] = {0, 4, 1}, expected[] = {16, 4, 1};
  for (int i = 0; i < 3; ++i) {
    const TestFrame frame = MakeFrame(layout, 64, 64, noise, padding[i]);
    PreprocessPlan plan;
    ASSERT_TRUE(
        plan.Build({&frame.view, 1}, PlainSpec(32, 32, Fit::kCrop, Interpolation::kBicubic)).ok());
    PreprocessFrame description;
    std::memcpy(&description, plan.table().data(), sizeof(description));
    EXPECT_EQ(description.path, PreprocessPath::kTensor);
    EXPECT_EQ(description.row_sets, 2);
    for (int s = 0; s < 2; ++s) EXPECT_EQ(description.rows[s].copy_bytes, expected[i]);
  }
}

TEST(Preprocess, PlainPixelsTakeTensorCoresWhereTheyCan) {
  const PreprocessSpec spec = PlainSpec(32, 32, Fit::kCrop, Interpolation::kBicubic);
  PreprocessPlan plan;
  for (const char* name : {"RGB", "BGR", "RGBA", "xBGR", "GRAY8", "GBR"}) {
    const Layout& layout = LayoutNamed(name);
    TestFrame frame = MakeFrame(layout, 100, 90, Noise(1, layout, 100));
    for (int orientation = 0; orientation < 8; ++orientation) {
      frame.view.orientation = static_cast<Orientation>(orientation);
      ASSERT_TRUE(plan.Build({&frame.view, 1}, spec).ok());
      const bool sideways = orientation % 2 != 0;
      const bool taps = sideways || name == std::string("GBR");
      EXPECT_EQ(PathOf(plan, 0), taps ? PreprocessPath::kFixedTaps : PreprocessPath::kExact)
          << name << " " << orientation;
    }
  }
  // Sums of products with the lower digits that f32 might round.
  const Layout& gray = LayoutNamed("GRAY8");
  const TestFrame wide = MakeFrame(gray, 4000, 40, Noise(1, gray, 4000));
  ASSERT_TRUE(
      plan.Build({&wide.view, 1}, PlainSpec(32, 32, Fit::kSquash, Interpolation::kBicubic)).ok());
  EXPECT_EQ(PathOf(plan, 0), PreprocessPath::kFixedTaps);
}

// Windows of hundreds and thousands of samples, which tensor cores do not take.
TEST(Preprocess, LargeDownscales) {
  const int sizes[][2] = {{1, 8192}, {8192, 1}, {3, 4000}, {4000, 3}, {900, 700}};
  for (const char* name : {"RGB", "NV12", "P010_10LE", "GRAY8"}) {
    const Layout& layout = LayoutNamed(name);
    for (const auto& size : sizes) {
      SCOPED_TRACE(testing::Message() << name << " " << size[0] << "x" << size[1]);
      TestFrame frame = MakeFrame(layout, size[0], size[1], Noise(5, layout, size[0]));
      std::vector<FrameView> views(2, frame.view);
      views[1].orientation = Orientation::kRotate90;
      for (const Fit fit : {Fit::kCrop, Fit::kSquash, Fit::kLetterbox}) {
        ExpectCudaIsRef<Half>(views, ClipSpec(16, 8, fit, Interpolation::kBicubic));
      }
    }
  }
}

// Bytes of fewer than eight bits that are not the lowest: no format of GStreamer's, but a view can
// say so.
TEST(Preprocess, ShiftedBytes) {
  const Layout layout = {"Y4xx", PixelKind::kYuv, 1, 4, 2, 1, 1, {{0, 0, 1}, {1, 0, 2}, {1, 1, 2}}};
  const TestFrame frame = MakeFrame(layout, 75, 58, Noise(6, layout, 75));
  const PreprocessSpec spec = ClipSpec(32, 8, Fit::kCrop, Interpolation::kBicubic);
  PreprocessPlan plan;
  PreprocessRun<Half> run({&frame.view, 1}, spec, plan);
  EXPECT_EQ(PathOf(plan, 0), PreprocessPath::kRealTaps);
  ExpectCudaIsRef<Half>({&frame.view, 1}, spec);
}

TEST(Preprocess, RangesMatricesAndSitings) {
  for (const char* name : {"NV12", "P010_10LE", "RGB", "GRAY8", "RGB48", "YUV9"}) {
    const Layout& layout = LayoutNamed(name);
    const TestFrame frame = MakeFrame(layout, 90, 67, Noise(4, layout, 90));
    std::vector<FrameView> views;
    for (int i = 0; i < 40; ++i) {
      FrameView view = frame.view;
      view.matrix = static_cast<YuvMatrix>(i / 8);
      view.full_range = (i & 1) != 0;
      view.chroma_cosited_x = (i & 2) != 0;
      view.chroma_cosited_y = (i & 4) != 0;
      views.push_back(view);
    }
    SCOPED_TRACE(name);
    ExpectCudaIsRef<Half>(views, ClipSpec(32, 16, Fit::kCrop, Interpolation::kBicubic));
  }
}

// Codes of HDR that are near grey, since what f16 rounds off is multiplied where a channel is the
// small rest of large ones. Frames of SDR in the same launch are what they are alone.
TEST(Preprocess, ToneMapped) {
  const PreprocessSpec spec = ClipSpec(32, 16, Fit::kCrop, Interpolation::kBicubic);
  std::vector<TestFrame> frames;
  std::vector<FrameView> views, plain;
  for (const char* name : {"NV12", "P010_10LE", "I420_10LE", "RGB", "GRAY8", "RGB48"}) {
    const Layout& layout = LayoutNamed(name);
    const SampleFunction noise = Noise(8, layout, 90);
    const bool yuv = layout.kind == PixelKind::kYuv;
    frames.push_back(MakeFrame(layout, 90, 67, [&](int c, int x, int y) {
      const int middle = 1 << (layout.bits - 1), wide = middle / 2;
      const int range = yuv && c > 0 ? middle / 16 : wide;
      return middle + noise(yuv ? c : 0, x, y) % range - range / 2;
    }));
    for (int i = 0; i < 6; ++i) {
      FrameView view = frames.back().view;
      view.matrix = YuvMatrix::kBt2020;
      plain.push_back(view);
      view.transfer = static_cast<Transfer>(i / 2);
      view.primaries = static_cast<Primaries>(i % 2);
      views.push_back(view);
    }
  }
  PreprocessPlan plan, plan_of_plain;
  PreprocessRun<Half> run(views, spec, plan), of_plain(plain, spec, plan_of_plain);
  EXPECT_TRUE(plan.tone_map());
  EXPECT_FALSE(plan_of_plain.tone_map());
  for (int i = 0; i < static_cast<int>(views.size()); ++i) {
    SCOPED_TRACE(i);
    const FrameView& view = views[static_cast<size_t>(i)];
    const std::vector<float> got = run.Frame(i), want = RunRef(view, spec);
    if (!NeedsToneMap(view)) {
      EXPECT_EQ(got, of_plain.Frame(i));
      continue;
    }
    double sum = 0;
    for (size_t c = 0; c < got.size(); ++c) {
      sum += std::abs(got[c] - want[c]) * spec.std[c / 256 % 3] * 255;
    }
    EXPECT_LE(ErrorInSteps<Half>(got, want, spec), 12 * kTensorSteps);
    EXPECT_LE(sum / static_cast<double>(got.size()), kTensorSteps);
    if (view.transfer == Transfer::kSdr) continue;  // greys stay what they are
    EXPECT_GT(ErrorInSteps<Half>(of_plain.Frame(i), want, spec), 3) << "without it";
  }
}

TEST(Preprocess, BarsHaveTheFillColour) {
  for (const char* name : {"RGB", "NV12", "P010_10LE"}) {
    const Layout& layout = LayoutNamed(name);
    TestFrame frame = MakeFrame(layout, 90, 30, Noise(6, layout, 90));
    const PreprocessSpec spec = ClipSpec(60, 10, Fit::kLetterbox, Interpolation::kBicubic);
    for (const Orientation orientation : {Orientation::kRotate0, Orientation::kRotate90}) {
      frame.view.orientation = orientation;
      PreprocessPlan plan;
      const std::vector<float> planes =
          Unpatch(PreprocessRun<Half>({&frame.view, 1}, spec, plan).Frame(0), 60, 10);
      for (int c = 0; c < 3; ++c) {
        const float bar = Round<Half>((spec.fill[c] - spec.mean[c]) / spec.std[c]);
        for (int i = 0; i < 60; ++i) {
          for (const int at : {0, 19, 40, 59}) {
            const bool lies = orientation == Orientation::kRotate0;
            EXPECT_EQ(
                planes[static_cast<size_t>((c * 60 + (lies ? at : i)) * 60 + (lies ? i : at))],
                bar);
          }
        }
      }
    }
  }
}

// What a 1080p stream of NV12 takes, in strips: all warps of two blocks across, one of them idle.
TEST(Preprocess, FullSizeStrips) {
  for (const char* name : {"NV12", "P010_10LE"}) {
    const Layout& layout = LayoutNamed(name);
    TestFrame frame = MakeFrame(layout, 1920, 96, Noise(7, layout, 1920));
    for (const int size : {224, 336}) {
      PreprocessSpec spec = ClipSpec(size, 14, Fit::kLetterbox, Interpolation::kBicubic);
      ExpectCudaIsRef<Half>({&frame.view, 1}, spec);
    }
  }
}

// Frames of every format, size and path in one launch, each as if it were alone; again with the
// filters cached; blocks and warps in other orders.
TEST(Preprocess, MixedBatches) {
  std::vector<TestFrame> frames;
  std::vector<FrameView> views;
  const PreprocessSpec spec = ClipSpec(64, 32, Fit::kCrop, Interpolation::kBicubic);
  for (int i = 0; i < 30; ++i) {
    const Layout& layout = AllLayouts()[static_cast<size_t>(i) % AllLayouts().size()];
    const int width = 70 + 3 * i;
    frames.push_back(
        MakeFrame(layout, width, 150 - 2 * i, Noise(static_cast<uint32_t>(i), layout, width)));
    views.push_back(frames.back().view);
    views.back().orientation = static_cast<Orientation>(i % 8);
  }
  for (const size_t count : {size_t{1}, size_t{2}, size_t{3}}) {
    ExpectCudaIsRef<BFloat16>(std::span(views).subspan(8, count), spec);
  }
  ExpectCudaIsRef<Half>(views, spec);
  PreprocessPlan plan;
  PreprocessRun<Half> first(views, spec, plan), again(views, spec, plan);
  PreprocessRun<Half> latest(views, spec, plan, 8, emulation::kLatestFirst);
  PreprocessRun<Half> random(views, spec, plan, 8, 7);
  for (int i = 0; i < 30; ++i) {
    const std::vector<float> want = first.Frame(i);
    EXPECT_EQ(again.Frame(i), want) << i;
    EXPECT_EQ(latest.Frame(i), want) << i;
    EXPECT_EQ(random.Frame(i), want) << i;
  }
}

}  // namespace
}  // namespace cliptag::cuda
