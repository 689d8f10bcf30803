// HDR and BT.2020 as ordinary pictures: known colours, the tables against the formulas, and a
// picture that is sent as HDR beside itself as SDR, at every instruction set.
#include "kernels/shared/tone_map.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "kernels/cpu/preprocess/preprocess.h"
#include "tests/preprocess/all_kernels.h"
#include "tests/preprocess/pictures.h"

namespace cliptag {
namespace {

constexpr Transfer kAllTransfers[] = {Transfer::kSdr, Transfer::kPq, Transfer::kHlg};

std::string NameOf(Transfer transfer, Primaries primaries) {
  constexpr const char* kNames[] = {"SDR", "PQ", "HLG"};
  return std::string(kNames[static_cast<int>(transfer)]) +
         (primaries == Primaries::kBt2020 ? " BT.2020" : " BT.709");
}

// Written anew here, the other way round: light to codes.
double PqCode(double nits) {
  const double y = std::pow(nits / 10000, 0.1593017578125);
  return std::pow((0.8359375 + 18.8515625 * y) / (1 + 18.6875 * y), 78.84375);
}
double HlgCode(double scene) {
  return scene <= 1.0 / 12 ? std::sqrt(3 * scene)
                           : 0.17883277 * std::log(12 * scene - 0.28466892) + 0.55991073;
}
double SrgbLight(double code) {
  return code <= 0.04045 ? code / 12.92 : std::pow((code + 0.055) / 1.055, 2.4);
}
double SrgbCode(double light) {
  return light <= 0.0031308 ? 12.92 * light : 1.055 * std::pow(light, 1 / 2.4) - 0.055;
}

// sRGB's colour as HDR whose diffuse white is 203 cd/m2, or as SDR of BT.2020.
Rgb Sent(Rgb srgb, Transfer transfer, Primaries primaries) {
  double light[3] = {SrgbLight(srgb.r), SrgbLight(srgb.g), SrgbLight(srgb.b)};
  if (primaries == Primaries::kBt2020) {  // BT.2087
    const double r = light[0], g = light[1], b = light[2];
    light[0] = 0.6274 * r + 0.3293 * g + 0.0433 * b;
    light[1] = 0.0691 * r + 0.9195 * g + 0.0114 * b;
    light[2] = 0.0164 * r + 0.0880 * g + 0.8956 * b;
  }
  const double luminance = 0.2627 * light[0] + 0.6780 * light[1] + 0.0593 * light[2];
  for (double& value : light) {
    if (transfer == Transfer::kPq) {
      value = PqCode(203 * value);
    } else if (transfer == Transfer::kHlg) {
      // The screen's light is 1000 Y^0.2 E cd/m2.
      value = HlgCode(0.203 * value * std::pow(0.203 * luminance, 1 / 1.2 - 1));
    } else {
      value = SrgbCode(value);
    }
  }
  return {light[0], light[1], light[2]};
}

TEST(ToneMap, KnownColours) {
  const struct {
    Transfer transfer;
    double code, shown;
  } greys[] = {{Transfer::kPq, 0, 0},
               {Transfer::kPq, PqCode(0.5), SrgbCode(0.5 / 203)},
               {Transfer::kPq, PqCode(100), SrgbCode(100.0 / 203)},
               {Transfer::kPq, PqCode(203 * kToneMapKnee), SrgbCode(kToneMapKnee)},
               {Transfer::kPq, PqCode(203), 0.943},  // diffuse white: 240 of 255
               {Transfer::kPq, PqCode(1001.9), 1},
               {Transfer::kPq, 1, 1},
               {Transfer::kHlg, 0, 0},
               {Transfer::kHlg, 0.75, 0.943},  // BT.2408: the same white
               {Transfer::kHlg, 1, 1},
               {Transfer::kSdr, 0.5, 0.5},
               {Transfer::kSdr, 1, 1}};
  for (const auto& grey : greys) {
    for (const Primaries primaries : {Primaries::kBt709, Primaries::kBt2020}) {
      SCOPED_TRACE(NameOf(grey.transfer, primaries) + " " + std::to_string(grey.code));
      double rgb[3] = {grey.code, grey.code, grey.code};
      ToneMapExact(grey.transfer, primaries, rgb);
      for (const double value : rgb) EXPECT_NEAR(value, grey.shown, 1e-3);
    }
  }
  // Colours of BT.709, sent, come back where nothing is compressed.
  for (const Rgb colour : {Rgb{0.85, 0.1, 0.1}, Rgb{0.1, 0.8, 0.2}, Rgb{0.2, 0.1, 0.8},
                           Rgb{0.7, 0.6, 0.2}, Rgb{0.02, 0.03, 0.01}}) {
    for (const Transfer transfer : kAllTransfers) {
      for (const Primaries primaries : {Primaries::kBt709, Primaries::kBt2020}) {
        SCOPED_TRACE(NameOf(transfer, primaries));
        // HLG's luminance is of BT.2020's primaries.
        if (transfer == Transfer::kHlg && primaries == Primaries::kBt709) continue;
        const Rgb sent = Sent(colour, transfer, primaries);
        double rgb[3] = {sent.r, sent.g, sent.b};
        ToneMapExact(transfer, primaries, rgb);
        EXPECT_NEAR(rgb[0], colour.r, 2e-3);  // the matrix of four digits
        EXPECT_NEAR(rgb[1], colour.g, 2e-3);
        EXPECT_NEAR(rgb[2], colour.b, 2e-3);
      }
    }
  }
}

TEST(ToneMap, BrighterIsNeverDarker) {
  for (const Transfer transfer : kAllTransfers) {
    double last = -1;
    for (int i = 0; i <= 4096; ++i) {
      double rgb[3] = {i / 4096.0, i / 4096.0, i / 4096.0};
      ToneMapExact(transfer, Primaries::kBt2020, rgb);
      EXPECT_GE(rgb[1], last);
      EXPECT_LE(rgb[1], 1);
      last = rgb[1];
    }
    EXPECT_NEAR(last, 1, 1e-6);
  }
}

TEST(ToneMap, TablesAreWithinTheStatedError) {
  std::mt19937 random(3);
  for (const Transfer transfer : kAllTransfers) {
    for (const Primaries primaries : {Primaries::kBt709, Primaries::kBt2020}) {
      SCOPED_TRACE(NameOf(transfer, primaries));
      const ToneMapTable& table = ToneMapTableOf(transfer, primaries);
      double largest = 0;
      for (int i = 0; i < 60000; ++i) {
        double exact[3];
        for (double& value : exact) value = static_cast<double>(random() % 65536) / 65535;
        // Corners, greys, and near black.
        if (i % 4 == 1) exact[1] = exact[2] = exact[0];
        if (i % 4 == 2) exact[random() % 3] = static_cast<double>(random() % 2);
        if (i % 4 == 3) exact[random() % 3] /= 16;
        float got[3];
        for (int c = 0; c < 3; ++c) exact[c] = got[c] = static_cast<float>(exact[c]);
        ToneMapExact(transfer, primaries, exact);
        ToneMapRgb(table, got[0], got[1], got[2]);
        for (int c = 0; c < 3; ++c) {
          const double error = std::abs(got[c] - exact[c]);
          if (!(error <= largest)) largest = error;
        }
      }
      EXPECT_TRUE(largest <= kToneMapError) << largest;
      RecordProperty(NameOf(transfer, primaries), std::to_string(largest));
    }
  }
}

std::vector<float> RunCpu(const PreprocessKernels& kernels, const FrameView& view,
                          const PreprocessSpec& spec) {
  const int64_t grid = spec.size / spec.patch, cols = int64_t{3} * spec.patch * spec.patch;
  std::vector<float> out(grid * grid * cols, NAN);
  CpuPreprocessor cpu(nullptr, kernels);
  const Status status =
      cpu.Run({&view, 1}, spec, {out.data(), DType::kF32, grid * grid, cols, cols});
  EXPECT_TRUE(status.ok()) << status.message();
  return out;
}

class ToneMapLayout : public testing::TestWithParam<Layout> {};
INSTANTIATE_TEST_SUITE_P(All, ToneMapLayout, testing::ValuesIn(AllLayouts()),
                         [](const auto& info) { return std::string(info.param.name); });

// What the CPU makes of a frame is the formulas' of what it makes of the same codes as SDR.
TEST_P(ToneMapLayout, IsTheFormulaOfTheResampledCodes) {
  const Layout& layout = GetParam();
  TestFrame frame = MakeFrame(layout, 91, 66, Noise(4, layout, 91));
  const PreprocessSpec spec = PlainSpec(30, 6, Fit::kLetterbox, Interpolation::kBicubic);
  PreprocessSpec normalised = spec;
  for (int c = 0; c < 3; ++c) {
    normalised.mean[c] = 0.4f + 0.05f * static_cast<float>(c);
    normalised.std[c] = 0.25f + 0.01f * static_cast<float>(c);
  }
  for (const PreprocessKernels* kernels : AllKernels()) {
    for (const Transfer transfer : kAllTransfers) {
      SCOPED_TRACE(std::string(kernels->name) + " " + NameOf(transfer, Primaries::kBt2020));
      frame.view.matrix = YuvMatrix::kBt2020;
      frame.view.full_range = false;  // 8-bit RGB of full range as SDR has its own rounding
      frame.view.transfer = Transfer::kSdr;
      frame.view.primaries = Primaries::kBt709;
      const std::vector<float> codes = Unpatch(RunCpu(*kernels, frame.view, spec), 30, 6);
      frame.view.transfer = transfer;
      frame.view.primaries = Primaries::kBt2020;
      const std::vector<float> got = Unpatch(RunCpu(*kernels, frame.view, normalised), 30, 6);
      // Rows 4 to 25 show the picture.
      for (size_t i = 4 * 30; i < 26 * 30; ++i) {
        double rgb[3] = {codes[i], codes[i + 900], codes[i + 1800]};
        ToneMapExact(transfer, Primaries::kBt2020, rgb);
        for (size_t c = 0; c < 3; ++c) {
          const double want = (rgb[c] - normalised.mean[c]) / normalised.std[c];
          ASSERT_NEAR(got[c * 900 + i], want, (kToneMapError + 1e-6) / normalised.std[c]) << i;
        }
      }
      EXPECT_FLOAT_EQ(got[0], (spec.fill[0] - normalised.mean[0]) / normalised.std[0]) << "a bar";
    }
  }
}

// A picture of SDR, sent as HDR of 10 bits or as 8 bits of BT.2020, is the picture: reference and
// CPU.
TEST(ToneMap, APictureSentAsHdrIsThePicture) {
  const SmoothPicture picture = [](double x, double y) {
    const double u = 6.2831853 * x / 160, v = 6.2831853 * y / 120;
    return Rgb{0.5 + 0.2 * std::sin(u + 1) + 0.15 * std::cos(v),
               0.5 + 0.2 * std::sin(v - u) + 0.1 * std::cos(u),
               0.5 + 0.2 * std::cos(v + 2) - 0.15 * std::sin(v + u)};
  };
  const PreprocessSpec spec = PlainSpec(64, 64, Fit::kCrop, Interpolation::kBicubic);
  const std::vector<float> want = RunRef(
      MakeSmoothFrame(LayoutNamed("RGB"), 160, 120, YuvMatrix::kBt601, true, false, false, picture)
          .view,
      spec);
  for (const Transfer transfer : kAllTransfers) {
    for (const char* name : {"P010_10LE", "I420_10LE", "Y212_LE", "NV12", "RGB"}) {
      SCOPED_TRACE(NameOf(transfer, Primaries::kBt2020) + " " + name);
      const Layout& layout = LayoutNamed(name);
      TestFrame sent = MakeSmoothFrame(
          layout, 160, 120, YuvMatrix::kBt2020, layout.kind == PixelKind::kRgb, true, false,
          [&](double x, double y) { return Sent(picture(x, y), transfer, Primaries::kBt2020); });
      sent.view.transfer = transfer;
      sent.view.primaries = Primaries::kBt2020;
      std::vector<std::vector<float>> all = {RunRef(sent.view, spec)};
      for (const PreprocessKernels* kernels : AllKernels()) {
        all.push_back(RunCpu(*kernels, sent.view, spec));
      }
      // A code of 8 bits is some four of sRGB's, of 10 bits one; luma and chroma both err by half.
      const double allowed = layout.bits == 8 ? 10.0 / 255 : 3.0 / 255;
      for (const std::vector<float>& got : all) {
        double sum = 0, largest = 0;
        for (size_t i = 0; i < got.size(); ++i) {
          const double error = std::abs(static_cast<double>(got[i]) - want[i]);
          sum += error;
          if (!(error <= largest)) largest = error;
        }
        EXPECT_TRUE(largest <= allowed) << largest * 255;
        EXPECT_LE(sum / static_cast<double>(got.size()), allowed / 4);
      }
      // As SDR, which it was taken for, it is another picture.
      if (transfer == Transfer::kSdr) continue;
      sent.view.transfer = Transfer::kSdr;
      sent.view.primaries = Primaries::kBt709;
      const std::vector<float> taken_for_sdr = RunRef(sent.view, spec);
      double sum = 0;
      for (size_t i = 0; i < want.size(); ++i) sum += std::abs(taken_for_sdr[i] - want[i]);
      EXPECT_GT(sum / static_cast<double>(want.size()), 0.03);
    }
  }
}

}  // namespace
}  // namespace cliptag
