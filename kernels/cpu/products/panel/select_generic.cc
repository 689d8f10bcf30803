// PanelKernelFor where there is only the portable kernel.
#include "kernels/cpu/products/panel/kernels.h"

namespace cliptag {

const PanelKernel* PanelKernelFor(CpuLevel, PanelType type) {
  return type == PanelType::kInt8 ? &kPanelInt8Portable : nullptr;
}

bool HasFastInt8(CpuLevel) { return false; }

}  // namespace cliptag
