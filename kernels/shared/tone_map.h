// Tone mapping of HDR (BT.2100, PQ and HLG) and BT.2020 primaries to sRGB with BT.709 primaries,
// which is what CLIP was trained on. It is applied to the target pixels, R'G'B' in 0..1, after
// resampling. For host and device code alike.
//
//   decode    to light, 1 being diffuse white: 203 cd/m2 (BT.2408). PQ: its EOTF, up to the code of
//             some 1000 cd/m2. HLG: its inverse OETF and the OOTF of a screen of 1000 cd/m2, a gain
//             of Y^0.2. SDR: sRGB's curve, so that greys stay what they are.
//   matrix    BT.2020 to BT.709 (BT.2087); colours outside the gamut are clipped
//   compress  per channel: unchanged up to a knee; above it an extended Reinhard curve, of the same
//             slope at the knee, that maps 1000 cd/m2 to 1. SDR is clipped at 1.
//   encode    sRGB's curve
// ToneMapExact is that in double precision, the reference. ToneMapRgb reads decode, gain, and
// compress with encode, from tables with linear interpolation: within kToneMapError of it.
//
// Rejected: BT.2390's curve (diffuse white would become 0.84, and SDR films sent as HDR darker as a
// whole), curves on luminance or the largest channel (more operations, and highlight colours that
// CLIP was not trained on), polynomials (PQ spans ten powers of ten).
//
// Cost: 6 interpolations of two neighbours (HLG: 7) and 9 multiply-adds for a target pixel; 50
// thousand pixels at 224. Tables: 12 KB. Other frames pay nothing.
//
// Thread safety: pure functions of immutable tables.
#pragma once

#include <cstdint>

#include "kernels/frame.h"
#include "kernels/shared/resample.h"

namespace cliptag {

inline constexpr double kToneMapWhite = 203.0;  // cd/m2
inline constexpr double kToneMapPeak = 1000.0 / kToneMapWhite;
inline constexpr double kToneMapKnee = 0.75;
// The largest error of a channel, in 0..1: a twentieth of an 8-bit step.
inline constexpr double kToneMapError = 2e-4;

// Entries at x = 2^k * (1 + i / 32), for 16 octaves, so that the upper bits of a float are its
// index. Linear between them, and from 0 to the first.
inline constexpr int kToneOctaves = 16, kToneCellBits = 5;
inline constexpr int kToneCells = kToneOctaves << kToneCellBits;
inline constexpr int kLightCells = 2048;
// PQ codes are clipped here, at 1,001 cd/m2. It is an entry of the table, so that interpolation
// does not smooth the corner.
inline constexpr double kPqLastCode = 1540.0 / kLightCells;

struct alignas(16) ToneMapTable {
  float light[kLightCells + 1];  // at R' (or G', B') = i / kLightCells
  float shown[kToneCells + 1];   // of light, compressed and encoded; from 2^kShownFirst on
  float gain[kToneCells + 1];    // of HLG's luminance; from 2^kGainFirst on
  float matrix[9];               // rows: R, G, B
  int32_t has_gain;
};
inline constexpr int kShownFirst = -13, kGainFirst = -16;
static_assert(sizeof(ToneMapTable) % 16 == 0);

inline constexpr int kTransfers = 3, kPrimaries = 2;

// For host code. Built at the first call, never freed.
const ToneMapTable& ToneMapTableOf(Transfer transfer, Primaries primaries);

// In place: R', G', B' in 0..1.
void ToneMapExact(Transfer transfer, Primaries primaries, double rgb[3]);

// `x` in 0..1.
CLIPTAG_HD inline float ToneLight(const float* table, float x) {
  const float at = x * kLightCells;
  int cell = static_cast<int>(at);
  if (cell > kLightCells - 1) cell = kLightCells - 1;
  return table[cell] + (at - static_cast<float>(cell)) * (table[cell + 1] - table[cell]);
}

// `x` from 0 to the table's end.
template <int kFirst>
CLIPTAG_HD inline float ToneCurve(const float* table, float x) {
  constexpr int kShift = 23 - kToneCellBits;
  constexpr int32_t kBegin = (127 + kFirst) << 23, kLast = (kToneCells << kShift) - 1;
  constexpr float kToFirst = static_cast<float>(int64_t{1} << -kFirst);
  constexpr float kToCell = 1.0f / static_cast<float>(1 << kShift);
  int32_t bits;
  __builtin_memcpy(&bits, &x, sizeof(bits));
  int32_t at = bits - kBegin;
  if (at < 0) return table[0] * (x * kToFirst);
  if (at > kLast) at = kLast;
  const int32_t cell = at >> kShift;
  const float rest = static_cast<float>(at - (cell << kShift)) * kToCell;
  return table[cell] + rest * (table[cell + 1] - table[cell]);
}

// In place: R', G', B' in 0..1.
CLIPTAG_HD inline void ToneMapRgb(const ToneMapTable& table, float& r, float& g, float& b) {
  float red = ToneLight(table.light, r);
  float green = ToneLight(table.light, g);
  float blue = ToneLight(table.light, b);
  if (table.has_gain != 0) {
    // As ToneMapExact: the light has its scale already, the gain is of the scene's luminance.
    constexpr float kScene = static_cast<float>(1.0 / kToneMapPeak);
    const float gain = ToneCurve<kGainFirst>(
        table.gain, kScene * (0.2627f * red + 0.6780f * green + 0.0593f * blue));
    red *= gain;
    green *= gain;
    blue *= gain;
  }
  const float* m = table.matrix;
  const float light[3] = {m[0] * red + m[1] * green + m[2] * blue,
                          m[3] * red + m[4] * green + m[5] * blue,
                          m[6] * red + m[7] * green + m[8] * blue};
  r = ToneCurve<kShownFirst>(table.shown, light[0] > 0.0f ? light[0] : 0.0f);
  g = ToneCurve<kShownFirst>(table.shown, light[1] > 0.0f ? light[1] : 0.0f);
  b = ToneCurve<kShownFirst>(table.shown, light[2] > 0.0f ? light[2] : 0.0f);
}

}  // namespace cliptag
