// PanelKernelFor on x86-64.
#include "kernels/cpu/products/panel/kernels.h"

namespace cliptag {

const PanelKernel* PanelKernelFor(CpuLevel level, PanelType type) {
  switch (type) {
    case PanelType::kF32:
      return level >= CpuLevel::kAvx512 ? &kPanelAvx512F32 : nullptr;
    case PanelType::kBf16:
      if (level >= CpuLevel::kAmx) return &kPanelAmxBf16;
      return level >= CpuLevel::kAvx512Bf16 ? &kPanelAvx512Bf16 : nullptr;
    case PanelType::kInt8:
      if (level >= CpuLevel::kAmx) return &kPanelAmxInt8;
      return level >= CpuLevel::kAvx512Vnni ? &kPanelAvx512Vnni : &kPanelInt8Portable;
  }
  return nullptr;
}

bool HasFastInt8(CpuLevel level) { return level >= CpuLevel::kAvx512Vnni; }

}  // namespace cliptag
