// The choice of kernels on x86-64: the widest vectors that the CPU has.
#include "kernels/cpu/convolution/winograd.h"
#include "kernels/cpu/machine/instruction_sets.h"
#include "kernels/cpu/preprocess/kernels.h"
#include "kernels/cpu/products/panel/panel.h"
#include "kernels/cpu/simd/simd.h"

namespace cliptag {
namespace {

SimdKernels WithBf16() {
  SimdKernels kernels = kSimdAvx512;
  kernels.attention = AttentionAvx512Bf16;
  kernels.epilogue = EpilogueAvx512Bf16;
  return kernels;
}

}  // namespace

const SimdKernels& SimdKernelsFor(CpuLevel level) {
  if (level >= CpuLevel::kAvx512Bf16) {
    static const SimdKernels kernels = WithBf16();
    return kernels;
  }
  if (level >= CpuLevel::kAvx512) return kSimdAvx512;
  return level >= CpuLevel::kAvx2 ? kSimdAvx2 : kSimdBaseline;
}

const PanelKernel* PanelKernelFor(CpuLevel level, PanelType type) {
  switch (type) {
    case PanelType::kF32:
      return level >= CpuLevel::kAvx512 ? &kPanelAvx512F32 : nullptr;
    case PanelType::kBf16:
      if (level >= CpuLevel::kAmx) return &kPanelAmxBf16;
      return level >= CpuLevel::kAvx512Bf16 ? &kPanelAvx512Bf16 : nullptr;
    case PanelType::kInt8:
      if (level >= CpuLevel::kAmx) return &kPanelAmxInt8;
      return level >= CpuLevel::kAvx512Vnni ? &kPanelAvx512Vnni : &kPanelInt8Baseline;
  }
  return nullptr;
}

bool HasFastInt8(CpuLevel level) { return level >= CpuLevel::kAvx512Vnni; }

const WinogradTransforms* WinogradTransformsFor(CpuLevel level, DType maps, PanelType rows,
                                                int tile) {
  // With AMX a product takes less time than the transforms would.
  const bool bf16 = rows == PanelType::kBf16;
  if (level < CpuLevel::kAvx512 || (bf16 && level != CpuLevel::kAvx512Bf16)) return nullptr;
  if (bf16) return tile == 2 ? &kWinogradBf16Tile2 : nullptr;
  if (maps == DType::kBF16) return tile == 2 ? &kWinogradBf16F32Tile2 : &kWinogradBf16F32Tile4;
  return tile == 2 ? &kWinogradF32Tile2 : &kWinogradF32Tile4;
}

const PreprocessKernels& PreprocessKernelsFor(CpuLevel level) {
  if (level >= CpuLevel::kAvx512) return kPreprocessAvx512;
  return level >= CpuLevel::kAvx2 ? kPreprocessAvx2 : kPreprocessBaseline;
}

}  // namespace cliptag
