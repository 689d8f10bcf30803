// Winograd's transforms of 3x3 convolutions. An output tile of tile x tile pixels takes
// (tile + 2)^2 multiplications per pair of channels instead of 9 tile^2: 2.25 times fewer at tile 2
// and 4 times fewer at tile 4. The input transform makes edge x edge numbers per channel of a
// tile's input, edge = tile + 2. Numbers at the same place of all tiles are the rows of one matrix
// product, so there are edge * edge products. The output transform turns their results into pixels.
//
// The transforms compute in f32, whatever the types of pixels and products are. They round more
// than a plain sum: for random pixels and weights in f32, relative to the root mean square, the
// largest error is about twice as large at tile 2 and ten times at tile 4; with bf16 products at
// tile 2 it is three times what the rounding of the weights costs a plain sum. Tile 4 is not used
// with bf16 products.
//
// Cost at tile 2, for a tile and 16 channels: 16 loads, 32 sums and 16 stores for the input, 16, 24
// and 4 for the output, against 16 channels * 16 multiply-adds for every 16 outputs.
//
// Ownership: borrows everything. Thread safety: pure functions of their arguments.
#pragma once

#include <cstdint>

#include "kernels/backend.h"
#include "kernels/cpu/machine/cpu_features.h"
#include "kernels/cpu/products/panel/panel.h"

namespace cliptag {

// Input transform: the pixels of a tile to one row of each of the edge * edge products.
struct WinogradInput {
  const void* const* pixels = nullptr;  // (edge * edge) pixels' channels
  int64_t channels = 0;                 // a multiple of 16
  void* to = nullptr;
  int64_t plane = 0;  // bytes from a product's row to the next product's
};

// Output transform, for up to 32 channels of the output.
struct WinogradOutput {
  const float* products = nullptr;
  int64_t plane = 0;            // bytes, likewise
  int64_t channels = 0;         // 16 or 32
  const float* bias = nullptr;  // (channels), or null
  bool relu = false;
  const void* const* residual = nullptr;  // (tile * tile) pixels, or null
  void* const* pixels = nullptr;          // (tile * tile); null entries are outside the picture
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

// The transforms for maps and rows of those types on a CPU of that level; null if there are none.
const WinogradTransforms* WinogradTransformsFor(CpuLevel level, DType maps, PanelType rows,
                                                int tile);

}  // namespace cliptag
