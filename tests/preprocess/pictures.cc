#include "tests/preprocess/pictures.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/ref/preprocess.h"
#include "kernels/shared/preprocess_check.h"

namespace cliptag {
namespace {

constexpr PixelKind kRgb = PixelKind::kRgb, kYuv = PixelKind::kYuv, kGray = PixelKind::kGray;

struct Shares {
  double red, blue;
};

// The recommendations' own numbers, written down a second time: nothing here comes from the code
// under test.
Shares SharesOf(YuvMatrix matrix) {
  switch (matrix) {
    case YuvMatrix::kBt601:
      return {0.299, 0.114};
    case YuvMatrix::kBt709:
      return {0.2126, 0.0722};
    case YuvMatrix::kBt2020:
      return {0.2627, 0.0593};
    case YuvMatrix::kSmpte240m:
      return {0.212, 0.087};
    case YuvMatrix::kFcc:
      return {0.3, 0.11};
  }
  return {};
}

int Code(const Layout& layout, PixelKind kind, int c, bool full_range, YuvMatrix matrix,
         const Rgb& rgb) {
  const double top = std::pow(2.0, layout.bits) - 1, unit = std::pow(2.0, layout.bits - 8);
  const double direct[3] = {rgb.r, rgb.g, rgb.b};
  double value = direct[c];
  double black = full_range ? 0.0 : 16 * unit, span = full_range ? top : 219 * unit;
  if (kind != kRgb) {
    const Shares shares = SharesOf(matrix);
    const double luma =
        shares.red * rgb.r + (1 - shares.red - shares.blue) * rgb.g + shares.blue * rgb.b;
    value = kind == kGray ? rgb.g : luma;
    if (c > 0) {
      value = c == 1 ? (rgb.b - luma) / (2 * (1 - shares.blue))
                     : (rgb.r - luma) / (2 * (1 - shares.red));
      black = 128 * unit;
      span = full_range ? top : 224 * unit;
    }
  }
  return static_cast<int>(std::clamp(std::lround(black + span * value), 0L, std::lround(top)));
}

}  // namespace

const std::vector<Layout>& AllLayouts() {
  static const std::vector<Layout> layouts = {
      {"RGB", kRgb, 1, 8, 0, 0, 0, {{0, 0, 3}, {0, 1, 3}, {0, 2, 3}}},
      {"BGR", kRgb, 1, 8, 0, 0, 0, {{0, 2, 3}, {0, 1, 3}, {0, 0, 3}}},
      {"RGBA", kRgb, 1, 8, 0, 0, 0, {{0, 0, 4}, {0, 1, 4}, {0, 2, 4}}},
      {"xBGR", kRgb, 1, 8, 0, 0, 0, {{0, 3, 4}, {0, 2, 4}, {0, 1, 4}}},
      {"GBR", kRgb, 1, 8, 0, 0, 0, {{2, 0, 1}, {0, 0, 1}, {1, 0, 1}}},
      {"RGB48", kRgb, 2, 16, 0, 0, 0, {{0, 0, 6}, {0, 2, 6}, {0, 4, 6}}},
      {"GBR_10LE", kRgb, 2, 10, 0, 0, 0, {{2, 0, 2}, {0, 0, 2}, {1, 0, 2}}},
      {"GRAY8", kGray, 1, 8, 0, 0, 0, {{0, 0, 1}}},
      {"GRAY16_LE", kGray, 2, 16, 0, 0, 0, {{0, 0, 2}}},
      {"I420", kYuv, 1, 8, 0, 1, 1, {{0, 0, 1}, {1, 0, 1}, {2, 0, 1}}},
      {"YV12", kYuv, 1, 8, 0, 1, 1, {{0, 0, 1}, {2, 0, 1}, {1, 0, 1}}},
      {"NV12", kYuv, 1, 8, 0, 1, 1, {{0, 0, 1}, {1, 0, 2}, {1, 1, 2}}},
      {"NV21", kYuv, 1, 8, 0, 1, 1, {{0, 0, 1}, {1, 1, 2}, {1, 0, 2}}},
      {"YUY2", kYuv, 1, 8, 0, 1, 0, {{0, 0, 2}, {0, 1, 4}, {0, 3, 4}}},
      {"UYVY", kYuv, 1, 8, 0, 1, 0, {{0, 1, 2}, {0, 0, 4}, {0, 2, 4}}},
      {"Y42B", kYuv, 1, 8, 0, 1, 0, {{0, 0, 1}, {1, 0, 1}, {2, 0, 1}}},
      {"Y444", kYuv, 1, 8, 0, 0, 0, {{0, 0, 1}, {1, 0, 1}, {2, 0, 1}}},
      {"AYUV", kYuv, 1, 8, 0, 0, 0, {{0, 1, 4}, {0, 2, 4}, {0, 3, 4}}},
      {"YUV9", kYuv, 1, 8, 0, 2, 2, {{0, 0, 1}, {1, 0, 1}, {2, 0, 1}}},
      {"I420_10LE", kYuv, 2, 10, 0, 1, 1, {{0, 0, 2}, {1, 0, 2}, {2, 0, 2}}},
      {"P010_10LE", kYuv, 2, 10, 6, 1, 1, {{0, 0, 2}, {1, 0, 4}, {1, 2, 4}}},
      {"Y212_LE", kYuv, 2, 12, 4, 1, 0, {{0, 0, 4}, {0, 2, 8}, {0, 6, 8}}},
  };
  return layouts;
}

const Layout& LayoutNamed(std::string_view name) {
  for (const Layout& layout : AllLayouts()) {
    if (name == layout.name) return layout;
  }
  ADD_FAILURE() << "no layout is named " << name;
  return AllLayouts().front();
}

uint32_t Hash(uint32_t seed, uint32_t index) {
  uint32_t h = index + seed * 0x9E3779B1u;
  h ^= h >> 16;
  h *= 0x85EBCA6Bu;
  h ^= h >> 13;
  h *= 0xC2B2AE35u;
  return h ^ h >> 16;
}

SampleFunction Noise(uint32_t seed, const Layout& layout, int width) {
  const int channels = layout.kind == kGray ? 1 : 3;
  return [=, bits = layout.bits](int c, int x, int y) {
    return static_cast<int>(Hash(seed, (y * width + x) * channels + c) >> (32 - bits));
  };
}

TestFrame MakeFrame(const Layout& layout, int width, int height, const SampleFunction& sample,
                    int padding, bool upside_down) {
  TestFrame frame;
  FrameView& view = frame.view;
  view.kind = layout.kind;
  view.width = width;
  view.height = height;
  view.bytes_per_sample = layout.bytes_per_sample;
  view.bits = layout.bits;
  view.shift = layout.shift;
  view.chroma_shift_x = layout.chroma_shift_x;
  view.chroma_shift_y = layout.chroma_shift_y;

  const int components = ComponentCount(view);
  int row_bytes[3] = {}, rows[3] = {}, strides[3] = {};
  for (int c = 0; c < components; ++c) {
    const auto& place = layout.component[c];
    // Whole pixel groups, but for planes of one component: a packed row ends with its last group.
    row_bytes[place.plane] =
        std::max(row_bytes[place.plane], SamplesX(view, c) * place.pixel_stride);
    rows[place.plane] = std::max(rows[place.plane], SamplesY(view, c));
  }
  frame.planes.resize(3);
  for (int p = 0; p < 3; ++p) {
    if (rows[p] == 0) continue;
    strides[p] = row_bytes[p] + padding;
    const size_t bytes = static_cast<size_t>(rows[p] - 1) * strides[p] + row_bytes[p];
    frame.planes[p].reset(new uint8_t[bytes]);
    std::memset(frame.planes[p].get(), 0xA5, bytes);  // padding and alpha must not matter
  }
  for (int c = 0; c < components; ++c) {
    const auto& place = layout.component[c];
    const int stride = strides[place.plane];
    const int last = rows[place.plane] - 1;
    uint8_t* top = frame.planes[place.plane].get() + place.offset +
                   (upside_down ? static_cast<ptrdiff_t>(last) * stride : 0);
    view.component[c] = {top, upside_down ? -stride : stride, place.pixel_stride};
    for (int y = 0; y < SamplesY(view, c); ++y) {
      for (int x = 0; x < SamplesX(view, c); ++x) {
        const int word = sample(c, x, y) << layout.shift;
        uint8_t* at =
            top + y * view.component[c].row_stride + static_cast<ptrdiff_t>(x) * place.pixel_stride;
        at[0] = static_cast<uint8_t>(word);
        if (layout.bytes_per_sample == 2) at[1] = static_cast<uint8_t>(word >> 8);
      }
    }
  }
  return frame;
}

TestFrame MakeSmoothFrame(const Layout& layout, int width, int height, YuvMatrix matrix,
                          bool full_range, bool cosited_x, bool cosited_y,
                          const SmoothPicture& picture) {
  const auto sample = [&](int c, int x, int y) {
    const bool chroma = layout.kind == kYuv && c > 0;
    const int group_x = chroma ? 1 << layout.chroma_shift_x : 1;
    const int group_y = chroma ? 1 << layout.chroma_shift_y : 1;
    const double at_x = x * group_x + (cosited_x ? 0.5 : group_x / 2.0);
    const double at_y = y * group_y + (cosited_y ? 0.5 : group_y / 2.0);
    return Code(layout, layout.kind, c, full_range, matrix, picture(at_x, at_y));
  };
  TestFrame frame = MakeFrame(layout, width, height, sample);
  frame.view.matrix = matrix;
  frame.view.full_range = full_range;
  frame.view.chroma_cosited_x = cosited_x;
  frame.view.chroma_cosited_y = cosited_y;
  return frame;
}

PreprocessSpec PlainSpec(int size, int patch, Fit fit, Interpolation interpolation) {
  PreprocessSpec spec;
  spec.size = size;
  spec.patch = patch;
  spec.fit = fit;
  spec.interpolation = interpolation;
  return spec;
}

std::vector<float> Unpatch(const std::vector<float>& patches, int size, int patch) {
  const int grid = size / patch, used = grid * patch;
  std::vector<float> planes(patches.size());
  for (int c = 0; c < 3; ++c) {
    for (int y = 0; y < used; ++y) {
      for (int x = 0; x < used; ++x) {
        const size_t row = static_cast<size_t>(y / patch) * grid + x / patch;
        const size_t col = (static_cast<size_t>(c) * patch + y % patch) * patch + x % patch;
        planes[(static_cast<size_t>(c) * used + y) * used + x] =
            patches[row * 3 * patch * patch + col];
      }
    }
  }
  return planes;
}

std::vector<float> RunRef(const FrameView& view, const PreprocessSpec& spec) {
  const int64_t grid = spec.size / spec.patch, cols = int64_t{3} * spec.patch * spec.patch;
  std::vector<float> out(grid * grid * cols, NAN);
  const Status status =
      RefPreprocess({&view, 1}, spec, {out.data(), DType::kF32, grid * grid, cols, cols});
  EXPECT_TRUE(status.ok()) << status.message();
  return out;
}

}  // namespace cliptag
