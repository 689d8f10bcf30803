// Winograd's transforms of 3x3 convolutions: a tile of tile x tile pixels of the output takes
// (tile + 2)^2 multiplications a pair of channels instead of 9 tile^2, 2.25 times fewer at tile 2
// and 4 times at tile 4. A tile's inputs become edge x edge numbers a channel, `edge` = tile + 2,
// those at the same place in all tiles are rows of one product, and the products become pixels.
//
// Arithmetic is in f32, whatever pixels and products are. Its rounding is larger than that of the
// plain sum: of random pixels and weights in f32, relative to the root mean square, the worst is
// about twice at tile 2 and ten times at tile 4; where the products are of bf16, three times what
// the weights' rounding costs the plain sum at tile 2. Tile 4 is not for bf16 products.
//
// Cost: a tile and 16 channels at tile 2 takes 16 loads, 32 sums and 16 stores in, 16, 24 and 4
// out, against 16 channels * 16 multiply-adds for every 16 outputs.
//
// Ownership: borrows everything. Thread safety: pure functions of their arguments.
#pragma once

#include <cstdint>

#include "kernels/backend.h"
#include "kernels/cpu/machine/cpu_features.h"
#include "kernels/cpu/products/panel/panel.h"

namespace cliptag {

// A tile's pixels to a row of each of the edge * edge products.
struct WinogradInput {
  const void* const* pixels = nullptr;  // (edge * edge) pixels' channels
  int64_t channels = 0;                 // a multiple of 16
  void* to = nullptr;
  int64_t plane = 0;  // bytes from a product's row to the next product's
};

// The other way, for up to 32 channels of the output.
struct WinogradOutput {
  const float* products = nullptr;
  int64_t plane = 0;            // bytes, likewise
  int64_t channels = 0;         // 16 or 32
  const float* bias = nullptr;  // (channels), or null
  bool relu = false;
  // (tile * tile): what is added, or null; where it goes. Null: not of the picture.
  const void* const* residual = nullptr;
  void* const* pixels = nullptr;
};

constexpr int kWinogradLargestTile = 4;
constexpr int kWinogradLargestArea = 36;

struct WinogradTransforms {
  int tile = 2;
  void (*input)(const WinogradInput& task) = nullptr;
  void (*output)(const WinogradOutput& task) = nullptr;

  int edge() const { return tile + 2; }
  int area() const { return edge() * edge(); }
};

// Those for maps of that type and rows of that one on a machine of that level; null where there are
// none.
const WinogradTransforms* WinogradTransformsFor(CpuLevel level, DType maps, PanelType rows,
                                                int tile);

}  // namespace cliptag
