// HDR (BT.2100, PQ and HLG) and the primaries of BT.2020 as pictures for ordinary screens, which is
// all that CLIP has seen: after resampling, a target pixel's R'G'B' of 0..1 become sRGB of BT.709's
// primaries. For host and device code alike.
//
//   decode    to light, 1 being diffuse white: 203 cd/m2 (BT.2408). PQ: its EOTF, up to the code of
//             some 1000 cd/m2. HLG: its inverse OETF and the OOTF of a screen of 1000 cd/m2, a gain
//             of Y^0.2. SDR: sRGB's curve, so that greys stay what they are.
//   matrix    BT.2020 to BT.709 (BT.2087); what is outside is cut off
//   compress  per channel: as it is up to a knee, above by an extended Reinhard curve, of the same
//             slope at the knee, that brings 1000 cd/m2 to 1; SDR is cut off at 1
//   encode    sRGB's curve
// ToneMapExact is that in double precision, the oracle. ToneMapRgb takes decode, gain and compress
// with encode from tables with straight lines between entries: within kToneMapError of it.
//
// Rejected: BT.2390's curve (diffuse white would become 0.84, and all of an SDR film that has been
// sent as HDR darker), curves on luminance or the largest channel (more operations, and colours of
// highlights beyond what CLIP has seen), polynomials (PQ spans ten powers of ten).
//
// Cost: for a target pixel 6 interpolations of two neighbours (HLG: 7), 9 multiply-adds; 50
// thousand pixels at 224. Tables: 12 KB. Nothing for frames that need it not.
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
// Of a channel, in 0..1: a twentieth of an 8-bit step.
inline constexpr double kToneMapError = 2e-4;

// Values at x = 2^k * (1 + i / 32), for 16 octaves; between them, and from 0 to the first, straight
// lines: a place in the table is the upper bits of a float.
inline constexpr int kToneOctaves = 16, kToneCellBits = 5;
inline constexpr int kToneCells = kToneOctaves << kToneCellBits;
inline constexpr int kLightCells = 2048;
// Of PQ: where its light ends, 1,001 cd/m2. At a table's entry, so that no line goes over the
// corner.
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

// For host code; built when first asked for, then there for good.
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
