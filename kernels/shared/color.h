// From stored sample values to RGB in 0..1: range, bit depth and YUV matrix folded into one affine
// map per channel, for host and device code alike.
//
// Thread safety: pure functions.
#pragma once

#include "kernels/frame.h"
#include "kernels/shared/resample.h"

namespace cliptag {

// R = y * Y + rv * V + r0, G = y * Y + gu * U + gv * V + g0, B = y * Y + bu * U + b0, then clamped.
// For kRgb and kGray the chroma factors are 0 and the same y and r0 serve every channel.
struct ColorMap {
  double y = 1.0;
  double rv = 0.0, gu = 0.0, gv = 0.0, bu = 0.0;
  double r0 = 0.0, g0 = 0.0, b0 = 0.0;
};

// Shares of red and blue in luma (Kr, Kb).
struct LumaShare {
  double red, blue;
};

CLIPTAG_HD constexpr LumaShare LumaShareOf(YuvMatrix matrix) {
  constexpr LumaShare kShares[] = {// BT.601, BT.709, BT.2020, SMPTE 240M, FCC
                                   {0.299, 0.114},
                                   {0.2126, 0.0722},
                                   {0.2627, 0.0593},
                                   {0.212, 0.087},
                                   {0.30, 0.11}};
  return kShares[static_cast<int>(matrix)];
}

CLIPTAG_HD constexpr ColorMap MakeColorMap(PixelKind kind, YuvMatrix matrix, bool full_range,
                                           int bits) {
  // Limited range is defined at 8 bits and scaled by powers of two; full range ends at all ones.
  const double top = static_cast<double>((1 << bits) - 1);
  const double unit = static_cast<double>(1 << bits) / 256.0;
  const double luma_black = full_range ? 0.0 : 16.0 * unit;
  const double luma_span = full_range ? top : 219.0 * unit;
  ColorMap map;
  map.y = 1.0 / luma_span;
  map.r0 = map.g0 = map.b0 = -luma_black / luma_span;
  if (kind != PixelKind::kYuv) return map;

  const double chroma_zero = 128.0 * unit;
  const double chroma_span = full_range ? top : 224.0 * unit;
  const LumaShare share = LumaShareOf(matrix);
  const double green = 1.0 - share.red - share.blue;
  const double to_red = 2.0 * (1.0 - share.red);
  const double to_blue = 2.0 * (1.0 - share.blue);
  map.rv = to_red / chroma_span;
  map.bu = to_blue / chroma_span;
  map.gv = -to_red * share.red / green / chroma_span;
  map.gu = -to_blue * share.blue / green / chroma_span;
  map.r0 -= map.rv * chroma_zero;
  map.g0 -= (map.gu + map.gv) * chroma_zero;
  map.b0 -= map.bu * chroma_zero;
  return map;
}

template <typename T>
CLIPTAG_HD constexpr T Clamp01(T value) {
  return value < T(0) ? T(0) : value > T(1) ? T(1) : value;
}

}  // namespace cliptag
