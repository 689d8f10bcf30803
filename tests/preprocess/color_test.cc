// Colour: the same picture sent in any YUV flavour looks the same, chroma sits where its siting
// says, and the oracle's way (resample planes, then convert) agrees with converting the picture
// first.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "kernels/cpu/preprocess/preprocess.h"
#include "kernels/shared/preprocess_check.h"
#include "tests/preprocess/pictures.h"

namespace cliptag {
namespace {

std::vector<float> RunCpu(const FrameView& view, const PreprocessSpec& spec) {
  const int64_t grid = spec.size / spec.patch, cols = int64_t{3} * spec.patch * spec.patch;
  std::vector<float> out(grid * grid * cols, NAN);
  CpuPreprocessor cpu(nullptr);
  const Status status =
      cpu.Run({&view, 1}, spec, {out.data(), DType::kF32, grid * grid, cols, cols});
  EXPECT_TRUE(status.ok()) << status.message();
  return out;
}

// Waves of every colour, some pixels long, within 0.1..0.9: no clamp, no colour out of gamut.
SmoothPicture Waves(int width, int height) {
  return [=](double x, double y) {
    const double u = 6.2831853 * x / width, v = 6.2831853 * y / height;
    return Rgb{0.5 + 0.25 * std::sin(u + 1) + 0.15 * std::cos(v),
               0.5 + 0.2 * std::sin(v - u) + 0.1 * std::cos(2 * u),
               0.5 + 0.25 * std::cos(v + 2) - 0.15 * std::sin(2 * v + u)};
  };
}

// Mean of (a - b) per channel and the largest |a - b|, in 8-bit steps, of one patch of size x size.
// At the picture's edge chroma ends at another place than luma, and a window that is clipped sees a
// slope up to a pixel off, so the outermost two target pixels count for themselves.
struct Difference {
  double mean[3] = {};
  double inside = 0.0, edge = 0.0;
};

Difference Compare(const std::vector<float>& a, const std::vector<float>& b) {
  Difference difference;
  const size_t pixels = a.size() / 3;
  const auto size = static_cast<size_t>(std::lround(std::sqrt(pixels)));
  EXPECT_EQ(size * size, pixels);
  EXPECT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    const double d = 255.0 * (static_cast<double>(a[i]) - b[i]);
    const size_t x = i % pixels % size, y = i % pixels / size;
    difference.mean[i / pixels] += d / static_cast<double>(pixels);
    double& largest =
        std::min({x, y, size - 1 - x, size - 1 - y}) < 2 ? difference.edge : difference.inside;
    if (!(std::abs(d) <= largest)) largest = std::abs(d);
  }
  return difference;
}

const char* const kYuvLayouts[] = {"I420", "YV12", "NV12", "NV21",      "YUY2",      "UYVY",
                                   "Y42B", "Y444", "AYUV", "I420_10LE", "P010_10LE", "Y212_LE"};

// What rounding can add up to at one pixel, in 8-bit steps: half a step of the RGB picture and of
// each of PIL's two passes, half a code of limited-range luma (0.6) and of chroma through the
// largest factor, 2 * (1 - 0.0593) * 255 / 224 (1.1).
constexpr double kRoundings = 3.2;

// Averaged over thousands of pixels almost nothing of it should be left. 1/255 is what the issue
// asks; a wrong matrix or range shows as several.
TEST(Color, EveryYuvFlavourIsTheRgbPicture) {
  const SmoothPicture waves = Waves(160, 120);
  const PreprocessSpec spec = PlainSpec(64, 64, Fit::kCrop, Interpolation::kBicubic);
  const TestFrame rgb =
      MakeSmoothFrame(LayoutNamed("RGB"), 160, 120, YuvMatrix::kBt601, true, false, false, waves);
  const std::vector<float> want = RunCpu(rgb.view, spec);
  for (const char* name : kYuvLayouts) {
    for (int matrix = 0; matrix <= static_cast<int>(YuvMatrix::kFcc); ++matrix) {
      for (int flags = 0; flags < 8; ++flags) {
        SCOPED_TRACE(std::string(name) + " matrix " + std::to_string(matrix) + " flags " +
                     std::to_string(flags));
        const TestFrame yuv =
            MakeSmoothFrame(LayoutNamed(name), 160, 120, static_cast<YuvMatrix>(matrix), flags & 1,
                            flags & 2, flags & 4, waves);
        const Difference difference = Compare(RunCpu(yuv.view, spec), want);
        for (const double mean : difference.mean) EXPECT_LE(std::abs(mean), 0.25);
        EXPECT_LE(difference.inside, kRoundings);
        EXPECT_LE(difference.edge, 5.0);
      }
    }
  }
}

TEST(Color, CropsAndOrientationsKeepTheColours) {
  const SmoothPicture waves = Waves(161, 121);
  const TestFrame rgb =
      MakeSmoothFrame(LayoutNamed("RGB"), 161, 121, YuvMatrix::kBt601, true, false, false, waves);
  const Rect crops[] = {{}, {1, 1, 99, 77}, {31, 20, 64, 101}};
  for (const char* name : {"NV12", "YUY2", "Y444"}) {
    for (int flags = 0; flags < 4; ++flags) {
      const TestFrame yuv = MakeSmoothFrame(LayoutNamed(name), 161, 121, YuvMatrix::kBt709, false,
                                            flags & 1, flags & 2, waves);
      for (int orientation = 0; orientation < 8; ++orientation) {
        for (const Rect& crop : crops) {
          SCOPED_TRACE(std::string(name) + " flags " + std::to_string(flags) + " orientation " +
                       std::to_string(orientation) + " crop " + std::to_string(crop.width));
          FrameView views[] = {rgb.view, yuv.view};
          for (FrameView& view : views) {
            view.crop = crop;
            view.orientation = static_cast<Orientation>(orientation);
          }
          const PreprocessSpec spec = PlainSpec(48, 48, Fit::kCrop, Interpolation::kBicubic);
          const Difference difference = Compare(RunCpu(views[1], spec), RunCpu(views[0], spec));
          for (const double mean : difference.mean) EXPECT_LE(std::abs(mean), 0.25);
          EXPECT_LE(difference.inside, kRoundings);
          EXPECT_LE(difference.edge, 5.0);
        }
      }
    }
  }
}

TEST(Color, GrayAndRgbRanges) {
  const SmoothPicture waves = Waves(100, 100);
  const PreprocessSpec spec = PlainSpec(48, 48, Fit::kCrop, Interpolation::kBicubic);
  for (const char* name : {"GRAY8", "GRAY16_LE", "RGB", "GBR_10LE", "RGB48"}) {
    SCOPED_TRACE(name);
    const Layout& layout = LayoutNamed(name);
    const auto run = [&](bool full) {
      return RunCpu(
          MakeSmoothFrame(layout, 100, 100, YuvMatrix::kBt601, full, false, false, waves).view,
          spec);
    };
    const Difference difference = Compare(run(true), run(false));
    for (const double mean : difference.mean) EXPECT_LE(std::abs(mean), 0.25);
    // Half a step each, and PIL's two roundings.
    EXPECT_LE(std::max(difference.inside, difference.edge), 1.6);
  }
  const TestFrame gray =
      MakeSmoothFrame(LayoutNamed("GRAY8"), 100, 100, YuvMatrix::kBt601, true, false, false, waves);
  const std::vector<float> out = RunCpu(gray.view, spec);
  const size_t pixels = out.size() / 3;
  EXPECT_TRUE(std::equal(out.begin(), out.begin() + pixels, out.begin() + pixels));
  EXPECT_TRUE(std::equal(out.begin(), out.begin() + pixels, out.begin() + 2 * pixels));
}

// Codes of pure colours as the recommendations and JFIF give them.
TEST(Color, KnownCodes) {
  struct {
    YuvMatrix matrix;
    bool full;
    int yuv[3];
    double rgb[3];
  } const cases[] = {
      {YuvMatrix::kBt601, false, {235, 128, 128}, {1, 1, 1}},
      {YuvMatrix::kBt601, false, {16, 128, 128}, {0, 0, 0}},
      {YuvMatrix::kBt601, false, {81, 90, 240}, {1, 0, 0}},
      {YuvMatrix::kBt601, false, {145, 54, 34}, {0, 1, 0}},
      {YuvMatrix::kBt601, false, {41, 240, 110}, {0, 0, 1}},
      {YuvMatrix::kBt709, false, {63, 102, 240}, {1, 0, 0}},
      {YuvMatrix::kBt709, false, {173, 42, 26}, {0, 1, 0}},
      {YuvMatrix::kBt709, false, {32, 240, 118}, {0, 0, 1}},
      {YuvMatrix::kBt601, true, {76, 85, 255}, {1, 0, 0}},
      {YuvMatrix::kBt601, true, {150, 44, 21}, {0, 1, 0}},
      {YuvMatrix::kBt601, true, {29, 255, 107}, {0, 0, 1}},
      {YuvMatrix::kBt2020, false, {74, 97, 240}, {1, 0, 0}},
      {YuvMatrix::kBt601, false, {1, 128, 128}, {0, 0, 0}},    // below black
      {YuvMatrix::kBt601, false, {254, 128, 128}, {1, 1, 1}},  // above white
  };
  for (const auto& c : cases) {
    SCOPED_TRACE("codes " + std::to_string(c.yuv[0]) + " " + std::to_string(c.yuv[1]) + " " +
                 std::to_string(c.yuv[2]));
    for (const char* name : {"NV12", "AYUV"}) {
      TestFrame frame = MakeFrame(LayoutNamed(name), 20, 20,
                                  [&](int component, int, int) { return c.yuv[component]; });
      frame.view.matrix = c.matrix;
      frame.view.full_range = c.full;
      const std::vector<float> out =
          RunCpu(frame.view, PlainSpec(16, 16, Fit::kCrop, Interpolation::kBicubic));
      for (int channel = 0; channel < 3; ++channel) {
        // The codes are rounded: half a step, at most 1.1 of R, G or B in each of two components.
        EXPECT_NEAR(out[channel * 256 + 100], c.rgb[channel], 1.6 / 255) << "channel " << channel;
      }
    }
  }
}

// Chroma one half pixel off must be seen: a steep colour ramp at its own size, right and wrong
// flags.
TEST(Color, ChromaSitsWhereItsSitingSays) {
  const PreprocessSpec spec = PlainSpec(32, 32, Fit::kCrop, Interpolation::kBilinear);
  for (const char* name : {"NV12", "I420", "YUV9"}) {
    for (const bool along_x : {true, false}) {
      if (!along_x && LayoutNamed(name).chroma_shift_y == 0) continue;
      const SmoothPicture ramp = [&](double x, double y) {
        const double t = (along_x ? x : y) / 32;
        return Rgb{0.2 + 0.6 * t, 0.5, 0.8 - 0.6 * t};
      };
      for (const bool cosited : {true, false}) {
        SCOPED_TRACE(std::string(name) + (along_x ? " x" : " y") + (cosited ? " cosited" : ""));
        TestFrame yuv = MakeSmoothFrame(LayoutNamed(name), 32, 32, YuvMatrix::kBt601, true, cosited,
                                        cosited, ramp);
        const TestFrame rgb = MakeSmoothFrame(LayoutNamed("RGB"), 32, 32, YuvMatrix::kBt601, true,
                                              false, false, ramp);
        const std::vector<float> want = RunCpu(rgb.view, spec);
        // Over the middle half, where no window is clipped: the mean of R - B, a shift's mark.
        const auto shift = [&] {
          const std::vector<float> got = RunCpu(yuv.view, spec);
          double sum = 0;
          for (int y = 8; y < 24; ++y) {
            for (int x = 8; x < 24; ++x) {
              const int at = y * 32 + x;
              sum += (got[at] - want[at]) - (got[2 * 1024 + at] - want[2 * 1024 + at]);
            }
          }
          return 255 * sum / 256;
        };
        EXPECT_LE(std::abs(shift()), 0.6);
        (along_x ? yuv.view.chroma_cosited_x : yuv.view.chroma_cosited_y) = !cosited;
        // Half a pixel of a ramp of 0.6 / 32 a pixel, twice (R and B): 4.8 steps.
        EXPECT_GE(std::abs(shift()), 4.0);
      }
    }
  }
}

// The second oracle: every pixel converted to RGB first, chroma interpolated bilinearly at its
// siting, then resampled as an RGB picture of 16 bits. What is left is how chroma is interpolated.
// On waves 80 and more chroma samples long the bilinear way errs by (pi / 80)^2 / 2 of an amplitude
// of 0.5, a tenth of an 8-bit step. The codes' rounding is noise of half a code, at most one step
// of 8 bits, that the two ways smooth differently. The edge is Compare's.
TEST(Color, ConvertingFirstGivesTheSame) {
  const int width = 161, height = 163;
  for (const char* name : {"I420", "YUY2", "P010_10LE"}) {
    const Layout& layout = LayoutNamed(name);
    for (int flags = 0; flags < 8; ++flags) {
      SCOPED_TRACE(std::string(name) + " flags " + std::to_string(flags));
      const SmoothPicture waves = Waves(2 * width, 2 * height);
      const TestFrame yuv = MakeSmoothFrame(layout, width, height, YuvMatrix::kBt709, flags & 1,
                                            flags & 2, flags & 4, waves);
      const FrameView& view = yuv.view;
      const auto code = [&](int c, int x, int y) {
        x = std::clamp(x, 0, SamplesX(view, c) - 1);
        y = std::clamp(y, 0, SamplesY(view, c) - 1);
        const uint8_t* at = view.component[c].data + y * view.component[c].row_stride +
                            x * view.component[c].pixel_stride;
        const int word = view.bytes_per_sample == 1 ? at[0] : at[0] | at[1] << 8;
        return static_cast<double>(word >> view.shift);
      };
      const auto chroma = [&](int c, int x, int y) {
        const double group_x = 1 << view.chroma_shift_x, group_y = 1 << view.chroma_shift_y;
        const double at_x = (x + 0.5 - (view.chroma_cosited_x ? 0.5 : group_x / 2)) / group_x;
        const double at_y = (y + 0.5 - (view.chroma_cosited_y ? 0.5 : group_y / 2)) / group_y;
        const int x0 = static_cast<int>(std::floor(at_x)), y0 = static_cast<int>(std::floor(at_y));
        const double fx = at_x - x0, fy = at_y - y0;
        return (1 - fy) * ((1 - fx) * code(c, x0, y0) + fx * code(c, x0 + 1, y0)) +
               fy * ((1 - fx) * code(c, x0, y0 + 1) + fx * code(c, x0 + 1, y0 + 1));
      };
      const double unit = std::pow(2.0, layout.bits - 8), top = std::pow(2.0, layout.bits) - 1;
      const auto to_rgb = [&](int channel, int x, int y) {
        const double luma =
            view.full_range ? code(0, x, y) / top : (code(0, x, y) - 16 * unit) / (219 * unit);
        const double span = view.full_range ? top : 224 * unit;
        const double cb = (chroma(1, x, y) - 128 * unit) / span;
        const double cr = (chroma(2, x, y) - 128 * unit) / span;
        const double rgb[3] = {luma + 1.5748 * cr, luma - 0.187324 * cb - 0.468124 * cr,
                               luma + 1.8556 * cb};
        return static_cast<int>(std::lround(std::clamp(rgb[channel], 0.0, 1.0) * 65535));
      };
      const TestFrame converted = MakeFrame(LayoutNamed("RGB48"), width, height, to_rgb);
      for (const int size : {40, 96}) {
        for (const Interpolation filter : {Interpolation::kBicubic, Interpolation::kBilinear}) {
          const PreprocessSpec spec = PlainSpec(size, size, Fit::kCrop, filter);
          const Difference difference = Compare(RunRef(view, spec), RunRef(converted.view, spec));
          const double rounding = std::pow(2.0, 8 - layout.bits);
          EXPECT_LE(difference.inside, 0.15 + rounding) << "size " << size;
          EXPECT_LE(difference.edge, 1.0 + rounding) << "size " << size;
          for (const double mean : difference.mean) EXPECT_LE(std::abs(mean), 0.02);
        }
      }
    }
  }
}

}  // namespace
}  // namespace cliptag
