// What a frame may be: orientations equal to turning the picture first, and views and specs that
// cannot be, each refused with a sentence that names what is wrong.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "kernels/cpu/preprocess/preprocess.h"
#include "kernels/ref/preprocess.h"
#include "kernels/shared/preprocess_check.h"
#include "kernels/shared/resample.h"
#include "tests/preprocess/pictures.h"

namespace cliptag {
namespace {

// Mirrored first, then turned clockwise as often as the name says, as GStreamer defines it.
SampleFunction Turned(SampleFunction stored, int width, int height, int orientation) {
  if (orientation >= 4) {
    stored = [=](int c, int x, int y) { return stored(c, width - 1 - x, y); };
  }
  for (int turn = orientation % 4; turn > 0; --turn) {
    stored = [=](int c, int x, int y) { return stored(c, y, height - 1 - x); };
    std::swap(width, height);
  }
  return stored;
}

TEST(Orientation, EqualsTurningThePictureFirst) {
  for (const char* name : {"RGB", "GRAY8", "RGB48"}) {
    const Layout& layout = LayoutNamed(name);
    for (const Fit fit : {Fit::kCrop, Fit::kLetterbox}) {
      for (int orientation = 0; orientation < 8; ++orientation) {
        SCOPED_TRACE(std::string(name) + " orientation " + std::to_string(orientation));
        const int width = 83, height = 58;  // 15.5 pixels are cut on either side of 33: a rounding
        const SampleFunction noise = Noise(9, layout, width);
        TestFrame stored = MakeFrame(layout, width, height, noise);
        stored.view.orientation = static_cast<Orientation>(orientation);
        const bool swap = orientation % 2 == 1;
        const TestFrame turned = MakeFrame(layout, swap ? height : width, swap ? width : height,
                                           Turned(noise, width, height, orientation));
        const PreprocessSpec spec = PlainSpec(33, 11, fit, Interpolation::kBicubic);
        const std::vector<float> got = RunRef(stored.view, spec), want = RunRef(turned.view, spec);
        ASSERT_EQ(got.size(), want.size());
        for (size_t i = 0; i < got.size(); ++i) ASSERT_NEAR(got[i], want[i], 1e-7) << i;
      }
    }
  }
}

// Planes of 4:2:0 can be turned too while chroma is centred and the sides are even.
TEST(Orientation, EqualsTurningThePlanesOf420) {
  const Layout& layout = LayoutNamed("I420");
  for (int orientation = 0; orientation < 8; ++orientation) {
    SCOPED_TRACE(orientation);
    const int width = 84, height = 58;
    const SampleFunction noise = Noise(10, layout, width);
    const bool swap = orientation % 2 == 1;
    const SampleFunction luma = Turned(noise, width, height, orientation);
    const SampleFunction chroma = Turned(noise, width / 2, height / 2, orientation);
    TestFrame stored = MakeFrame(layout, width, height, noise);
    TestFrame turned =
        MakeFrame(layout, swap ? height : width, swap ? width : height,
                  [&](int c, int x, int y) { return c == 0 ? luma(c, x, y) : chroma(c, x, y); });
    stored.view.orientation = static_cast<Orientation>(orientation);
    stored.view.chroma_cosited_x = turned.view.chroma_cosited_x = false;
    const PreprocessSpec spec = PlainSpec(33, 11, Fit::kCrop, Interpolation::kBicubic);
    const std::vector<float> got = RunRef(stored.view, spec), want = RunRef(turned.view, spec);
    ASSERT_EQ(got.size(), want.size());
    for (size_t i = 0; i < got.size(); ++i) ASSERT_NEAR(got[i], want[i], 1e-6) << i;
  }
}

TEST(Crop, EqualsAPictureOfThatPart) {
  const Layout& layout = LayoutNamed("BGR");
  const SampleFunction noise = Noise(11, layout, 90);
  TestFrame whole = MakeFrame(layout, 90, 70, noise);
  whole.view.crop = {17, 9, 51, 43};
  const TestFrame part =
      MakeFrame(layout, 51, 43, [&](int c, int x, int y) { return noise(c, x + 17, y + 9); });
  for (const Fit fit : {Fit::kCrop, Fit::kSquash, Fit::kLetterbox}) {
    const PreprocessSpec spec = PlainSpec(32, 8, fit, Interpolation::kBicubic);
    EXPECT_EQ(RunRef(whole.view, spec), RunRef(part.view, spec));
  }
}

TEST(Geometry, RoundsAsPythonDoes) {
  EXPECT_EQ(RoundHalfEven(0.5), 0);
  EXPECT_EQ(RoundHalfEven(1.5), 2);
  EXPECT_EQ(RoundHalfEven(2.5), 2);
  EXPECT_EQ(RoundHalfEven(2.4999), 2);
  EXPECT_EQ(RoundHalfEven(-0.5), 0);
  EXPECT_EQ(RoundHalfEven(-1.5), -2);
  EXPECT_EQ(RoundHalfEven(86.99), 87);
}

// size % patch rows and columns at the right and bottom are unused: a smaller grid of the same
// picture.
TEST(Geometry, PixelsThatNoPatchCoversAreLeftOut) {
  const Layout& layout = LayoutNamed("RGB");
  const TestFrame frame = MakeFrame(layout, 61, 47, Noise(12, layout, 61));
  const auto all =
      Unpatch(RunRef(frame.view, PlainSpec(37, 37, Fit::kCrop, Interpolation::kBicubic)), 37, 37);
  const auto some =
      Unpatch(RunRef(frame.view, PlainSpec(37, 10, Fit::kCrop, Interpolation::kBicubic)), 37, 10);
  ASSERT_EQ(some.size(), 3u * 30 * 30);
  for (int c = 0; c < 3; ++c) {
    for (int y = 0; y < 30; ++y) {
      for (int x = 0; x < 30; ++x) {
        ASSERT_EQ(some[(c * 30 + y) * 30 + x], all[(c * 37 + y) * 37 + x]);
      }
    }
  }
}

TEST(Geometry, PixelsThatAreNotSquareChangeTheProportionsAlone) {
  for (const Fit fit : {Fit::kCrop, Fit::kSquash, Fit::kLetterbox}) {
    for (const bool swap : {false, true}) {
      const FitGeometry wide = FitCrop(100, 90, {2, 1}, swap, 64, 64, fit);
      const FitGeometry square =
          swap ? FitPicture(90, 200, 64, 64, fit) : FitPicture(200, 90, 64, 64, fit);
      EXPECT_EQ(wide.x.resized, square.x.resized);
      EXPECT_EQ(wide.y.resized, square.y.resized);
      EXPECT_EQ(wide.x.offset, square.x.offset);
      EXPECT_EQ(wide.y.offset, square.y.offset);
    }
  }
  EXPECT_EQ(FitCrop(720, 576, {16, 15}, false, 224, 224, Fit::kCrop).x.resized, 298) << "4:3";
  EXPECT_EQ(FitCrop(720, 576, {64, 45}, false, 224, 224, Fit::kCrop).x.resized, 398) << "16:9";
}

TEST(Geometry, AspectsAreInLowestTermsAndBounded) {
  EXPECT_EQ(MakePixelAspect(4, 2), (PixelAspect{2, 1}));
  EXPECT_EQ(MakePixelAspect(64, 45), (PixelAspect{64, 45}));
  for (const auto& [width, height] : {std::pair{0, 1}, {1, 0}, {-1, 1}, {1, -1}, {0, 0}}) {
    EXPECT_EQ(MakePixelAspect(width, height), PixelAspect()) << width << ":" << height;
  }
  for (const auto& [width, height] :
       {std::pair{2147483647, 1}, {1, 2147483647}, {2147483647, 2147483646}}) {
    const PixelAspect aspect = MakePixelAspect(width, height);
    EXPECT_GE(std::min(aspect.width, aspect.height), 1);
    EXPECT_LE(std::max(aspect.width, aspect.height), PixelAspect::kMost);
  }
}

// A picture that was squeezed to half its width or height, or to odd ratios, is seen as it was.
TEST(PixelAspect, EqualsTheSquarePixelsThatItStandsFor) {
  const auto picture = [](double x, double y) {
    return Rgb{0.5 + 0.4 * std::sin(x * 0.07), 0.5 + 0.4 * std::cos(y * 0.09),
               0.5 + 0.3 * std::sin((x - y) * 0.05)};
  };
  const auto shoot = [&](const char* layout, int width, int height, double wide, double high) {
    return MakeSmoothFrame(LayoutNamed(layout), width, height, YuvMatrix::kBt601, false, true,
                           false, [&](double x, double y) { return picture(x * wide, y * high); });
  };
  struct Case {
    int width, height;
    PixelAspect pixel;
    double wide, high;
  };
  for (const char* layout : {"RGB", "NV12", "P010_10LE"}) {
    for (const Case& c :
         {Case{90, 120, {2, 1}, 2, 1}, {180, 60, {1, 2}, 1, 2}, {120, 120, {3, 2}, 1.5, 1}}) {
      TestFrame stored = shoot(layout, c.width, c.height, c.wide, c.high);
      stored.view.pixel = c.pixel;
      TestFrame seen = shoot(layout, 180, 120, 1, 1);
      for (int orientation = 0; orientation < 8; ++orientation) {
        stored.view.orientation = seen.view.orientation = static_cast<Orientation>(orientation);
        for (const Fit fit : {Fit::kCrop, Fit::kSquash, Fit::kLetterbox}) {
          const PreprocessSpec spec = PlainSpec(32, 8, fit, Interpolation::kBicubic);
          const std::vector<float> got = RunRef(stored.view, spec), want = RunRef(seen.view, spec);
          float worst = 0;
          for (size_t i = 0; i < got.size(); ++i)
            worst = std::max(worst, std::abs(got[i] - want[i]));
          // Smooth enough that only its samples' rounding and the edges' differ; unaware of the
          // pixels' shape it is 0.3.
          EXPECT_LE(worst, 0.03) << layout << " " << c.pixel.width << ":" << c.pixel.height
                                 << " orientation " << orientation << " fit "
                                 << static_cast<int>(fit);
        }
      }
    }
  }
}

struct Call {
  FrameView view;
  PreprocessSpec spec;
  Matrix out;
};

struct BadCase {
  const char* name;
  std::function<void(Call&)> spoil;
  const char* sentence;  // part of the message
};

TEST(BadInput, IsRefusedWithASentence) {
  const BadCase cases[] = {
      {"no data", [](Call& c) { c.view.component[2].data = nullptr; },
       "frame 0: component 2 has no data"},
      {"no width", [](Call& c) { c.view.width = 0; }, "its size is 0x48"},
      {"negative height", [](Call& c) { c.view.height = -3; }, "its size is 64x-3"},
      {"too wide", [](Call& c) { c.view.width = 2147483647; }, "the most is 1048576 pixels"},
      {"too far apart", [](Call& c) { c.view.component[2].pixel_stride = 65; },
       "component 2 has a pixel stride of 65 bytes; the most is 64"},
      {"crop left",
       [](Call& c) {
         c.view.crop = {-1, 0, 4, 4};
       },
       "crop of 4x4 at (-1, 0)"},
      {"crop right",
       [](Call& c) {
         c.view.crop = {61, 0, 4, 4};
       },
       "is not inside its 64x48"},
      {"crop below",
       [](Call& c) {
         c.view.crop = {0, 45, 4, 4};
       },
       "is not inside its 64x48"},
      {"crop overflow",
       [](Call& c) {
         c.view.crop = {2147483647, 0, 2147483647, 4};
       },
       "is not inside"},
      {"crop without height",
       [](Call& c) {
         c.view.crop = {0, 0, 4, 0};
       },
       "crop of 4x0"},
      {"negative crop",
       [](Call& c) {
         c.view.crop = {0, 0, -4, 4};
       },
       "crop of -4x4"},
      {"sample size", [](Call& c) { c.view.bytes_per_sample = 4; }, "must be 1 or 2"},
      {"bits", [](Call& c) { c.view.bits = 10; }, "10 bits shifted by 0 do not fit"},
      {"shift", [](Call& c) { c.view.shift = -1; }, "do not fit"},
      {"no bits", [](Call& c) { c.view.bits = 0; }, "do not fit"},
      {"subsampling", [](Call& c) { c.view.chroma_shift_x = 9; }, "subsampling shifts of 9 and 1"},
      {"pixel stride", [](Call& c) { c.view.component[1].pixel_stride = 0; },
       "component 1 has a pixel stride of 0"},
      {"row stride", [](Call& c) { c.view.component[0].row_stride = 63; },
       "component 0 has a row stride of 63 bytes; a row takes 64"},
      {"kind", [](Call& c) { c.view.kind = static_cast<PixelKind>(7); }, "pixel kind"},
      {"orientation", [](Call& c) { c.view.orientation = static_cast<Orientation>(8); },
       "orientation"},
      {"pixel",
       [](Call& c) {
         c.view.pixel = {0, 1};
       },
       "pixel aspect ratio is 0:1"},
      {"pixel's height",
       [](Call& c) {
         c.view.pixel = {1, 65536};
       },
       "pixel aspect ratio is 1:65536"},
      {"size", [](Call& c) { c.spec.size = 0; }, "no patches"},
      {"huge", [](Call& c) { c.spec.size = 65537; }, "the most is 65536"},
      {"patch", [](Call& c) { c.spec.patch = 33; }, "an input of 32 pixels has no patches of 33"},
      {"fit", [](Call& c) { c.spec.fit = Fit::kModel; }, "fit must be"},
      {"std", [](Call& c) { c.spec.std[1] = 0; }, "channel 1"},
      {"mean", [](Call& c) { c.spec.mean[2] = NAN; }, "channel 2"},
      {"rows", [](Call& c) { c.out.rows = 15; },
       "is 15x192 with a stride of 192; 1 frames need 16x192"},
      {"columns", [](Call& c) { c.out.cols = 191; }, "16x191"},
      {"stride", [](Call& c) { c.out.stride = 100; }, "stride of 100"},
      {"no output", [](Call& c) { c.out.data = nullptr; }, "has no data"},
      {"type", [](Call& c) { c.out.type = DType::kI32; }, "writes only f32"},
  };
  const Layout& layout = LayoutNamed("I420");
  const TestFrame frame = MakeFrame(layout, 64, 48, Noise(13, layout, 64));
  std::vector<float> out(16 * 192, -1.0f);
  CpuPreprocessor cpu(nullptr);
  const Call good{frame.view,
                  PlainSpec(32, 8, Fit::kCrop, Interpolation::kBicubic),
                  {out.data(), DType::kF32, 16, 192, 192}};
  for (const BadCase& bad : cases) {
    SCOPED_TRACE(bad.name);
    Call call = good;
    bad.spoil(call);
    for (const Status& status : {RefPreprocess({&call.view, 1}, call.spec, call.out),
                                 cpu.Run({&call.view, 1}, call.spec, call.out)}) {
      EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
      EXPECT_NE(status.message().find(bad.sentence), std::string::npos) << status.message();
    }
  }
  for (const float value : out) ASSERT_EQ(value, -1.0f);  // nothing was written
  EXPECT_TRUE(cpu.Run({&good.view, 1}, good.spec, good.out).ok());
  EXPECT_NE(out[0], -1.0f);
  // No frames, no output: nothing to do, nothing wrong.
  EXPECT_TRUE(cpu.Run({}, good.spec, {nullptr, DType::kF32, 0, 192, 192}).ok());
}

}  // namespace
}  // namespace cliptag
