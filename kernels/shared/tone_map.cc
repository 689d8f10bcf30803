#include "kernels/shared/tone_map.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace cliptag {
namespace {

// SMPTE ST 2084: a code in 0..1 to cd/m2.
double PqLight(double code) {
  constexpr double m1 = 2610.0 / 16384, m2 = 2523.0 / 4096 * 128;
  constexpr double c1 = 3424.0 / 4096, c2 = 2413.0 / 4096 * 32, c3 = 2392.0 / 4096 * 32;
  const double power = std::pow(code, 1 / m2);
  return 10000 * std::pow(std::max(power - c1, 0.0) / (c2 - c3 * power), 1 / m1);
}

// BT.2100: a code to scene light, 0..1.
double HlgLight(double code) {
  constexpr double a = 0.17883277, b = 1 - 4 * a;
  const double c = 0.5 - a * std::log(4 * a);
  return code <= 0.5 ? code * code / 3 : (std::exp((code - c) / a) + b) / 12;
}

double SrgbLight(double code) {
  return code <= 0.04045 ? code / 12.92 : std::pow((code + 0.055) / 1.055, 2.4);
}

double SrgbCode(double light) {
  return light <= 0.0031308 ? 12.92 * light : 1.055 * std::pow(light, 1 / 2.4) - 0.055;
}

// Before HLG's gain.
double LightOf(Transfer transfer, double code) {
  switch (transfer) {
    case Transfer::kSdr:
      break;
    case Transfer::kPq:
      return PqLight(std::min(code, kPqLastCode)) / kToneMapWhite;
    case Transfer::kHlg:
      return kToneMapPeak * HlgLight(code);
  }
  return SrgbLight(code);
}

double HlgGain(double luminance) { return std::pow(luminance, 0.2); }  // 1.2 - 1

double Compress(double light) {
  if (light <= kToneMapKnee) return light;
  constexpr double room = 1 - kToneMapKnee, peak = (kToneMapPeak - kToneMapKnee) / room;
  const double over = std::min((light - kToneMapKnee) / room, peak);
  return kToneMapKnee + room * over * (1 + over / (peak * peak)) / (1 + over);
}

double Shown(Transfer transfer, double light) {
  return SrgbCode(std::min(transfer == Transfer::kSdr ? light : Compress(light), 1.0));
}

// BT.2087: of linear light.
constexpr double kTo709[9] = {1.660491,  -0.587641, -0.072850, -0.124550, 1.132900,
                              -0.008349, -0.018151, -0.100579, 1.118730};
constexpr double kSame[9] = {1, 0, 0, 0, 1, 0, 0, 0, 1};

const double* MatrixOf(Primaries primaries) {
  return primaries == Primaries::kBt2020 ? kTo709 : kSame;
}

// The argument of entry `i` of a table that begins at 2^first.
double PlaceOf(int first, int i) {
  constexpr int cells = 1 << kToneCellBits;
  return std::ldexp(1 + static_cast<double>(i % cells) / cells, first + i / cells);
}

ToneMapTable MakeTable(Transfer transfer, Primaries primaries) {
  ToneMapTable table{};
  for (int i = 0; i <= kLightCells; ++i) {
    table.light[i] = static_cast<float>(LightOf(transfer, static_cast<double>(i) / kLightCells));
  }
  for (int i = 0; i <= kToneCells; ++i) {
    table.shown[i] = static_cast<float>(Shown(transfer, PlaceOf(kShownFirst, i)));
    table.gain[i] = static_cast<float>(HlgGain(PlaceOf(kGainFirst, i)));
  }
  for (int i = 0; i < 9; ++i) table.matrix[i] = static_cast<float>(MatrixOf(primaries)[i]);
  table.has_gain = transfer == Transfer::kHlg ? 1 : 0;
  return table;
}

}  // namespace

void ToneMapExact(Transfer transfer, Primaries primaries, double rgb[3]) {
  double light[3];
  for (int c = 0; c < 3; ++c) light[c] = LightOf(transfer, rgb[c]);
  if (transfer == Transfer::kHlg) {
    const double luminance = 0.2627 * light[0] + 0.6780 * light[1] + 0.0593 * light[2];
    const double gain = HlgGain(luminance / kToneMapPeak);
    for (double& value : light) value *= gain;
  }
  const double* m = MatrixOf(primaries);
  for (int c = 0; c < 3; ++c, m += 3) {
    const double value = m[0] * light[0] + m[1] * light[1] + m[2] * light[2];
    rgb[c] = Shown(transfer, std::max(value, 0.0));
  }
}

const ToneMapTable& ToneMapTableOf(Transfer transfer, Primaries primaries) {
  static const auto tables = [] {
    std::array<ToneMapTable, kTransfers * kPrimaries> made;
    for (int i = 0; i < kTransfers * kPrimaries; ++i) {
      made[i] =
          MakeTable(static_cast<Transfer>(i / kPrimaries), static_cast<Primaries>(i % kPrimaries));
    }
    return made;
  }();
  return tables[static_cast<int>(transfer) * kPrimaries + static_cast<int>(primaries)];
}

}  // namespace cliptag
