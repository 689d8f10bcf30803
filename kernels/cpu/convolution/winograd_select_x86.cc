// WinogradTransformsFor on x86-64.
#include "kernels/cpu/convolution/winograd_kernels.h"

namespace cliptag {

const WinogradTransforms* WinogradTransformsFor(CpuLevel level, DType maps, PanelType rows,
                                                int tile) {
  // With AMX a product takes less time than what would become of its rows.
  const bool bf16 = rows == PanelType::kBf16;
  if (level < CpuLevel::kAvx512 || (bf16 && level != CpuLevel::kAvx512Bf16)) return nullptr;
  if (bf16) return tile == 2 ? &kWinogradBf16Tile2 : nullptr;
  if (maps == DType::kBF16) return tile == 2 ? &kWinogradBf16F32Tile2 : &kWinogradBf16F32Tile4;
  return tile == 2 ? &kWinogradF32Tile2 : &kWinogradF32Tile4;
}

}  // namespace cliptag
