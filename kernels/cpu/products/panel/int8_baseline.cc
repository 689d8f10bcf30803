// Products of bytes on any CPU: the same sums as with AVX512-VNNI and AMX, at a fraction of their
// speed. A tile is one row.
#include "kernels/cpu/products/panel/kernels.h"

namespace cliptag {
namespace {

constexpr size_t kElementBytes = 1;
constexpr int kRowTile = 1;

#include "kernels/cpu/products/panel/finish.inc"

struct TileTask;
template <int kRows>
void Tile(const PanelTask& task, const TileTask& tile, float* block);

#include "kernels/cpu/products/panel/rows.inc"

template <int kRows>
void Tile(const PanelTask& task, const TileTask& tile, float* block) {
  static_assert(kRows == 1);
  int32_t sums[kPanelColumns] = {};
  const auto* x = reinterpret_cast<const uint8_t*>(tile.x);
  const auto* panel = static_cast<const int8_t*>(task.panel);
  const int64_t depth = task.depth / task.pieces;
  for (int piece = 0; piece < task.pieces; ++piece, x += task.piece_gap) {
    for (int64_t k = 0; k < depth; k += 4, x += 4, panel += 4 * kPanelColumns) {
      for (int c = 0; c < kPanelColumns; ++c) {
        for (int i = 0; i < 4; ++i) sums[c] += int32_t{x[i]} * panel[4 * c + i];
      }
    }
  }
  __builtin_memcpy(block, sums, sizeof(sums));
  FinishBytes(task, tile.row_quantization, 1, block);
}

}  // namespace

extern const PanelKernel kPanelInt8Baseline = {"int8 1x32", PanelType::kInt8, 4, 4, Multiply};

}  // namespace cliptag
