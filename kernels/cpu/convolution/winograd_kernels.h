// The transforms behind WinogradTransformsFor: maps, rows, tile.
#pragma once

#include "kernels/cpu/convolution/winograd.h"

namespace cliptag {

extern const WinogradTransforms kWinogradF32Tile2, kWinogradF32Tile4;
extern const WinogradTransforms kWinogradBf16F32Tile2, kWinogradBf16F32Tile4;
extern const WinogradTransforms kWinogradBf16Tile2;

}  // namespace cliptag
