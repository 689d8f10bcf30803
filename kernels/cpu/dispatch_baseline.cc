// The choice of kernels on architectures without code of their own: the baseline.
#include "kernels/cpu/convolution/winograd.h"
#include "kernels/cpu/machine/instruction_sets.h"
#include "kernels/cpu/preprocess/kernels.h"
#include "kernels/cpu/products/panel/panel.h"
#include "kernels/cpu/simd/simd.h"

namespace cliptag {

const SimdKernels& SimdKernelsFor(CpuLevel) { return kSimdBaseline; }

const PanelKernel* PanelKernelFor(CpuLevel, PanelType type) {
  return type == PanelType::kInt8 ? &kPanelInt8Baseline : nullptr;
}

bool HasFastInt8(CpuLevel) { return false; }

const WinogradTransforms* WinogradTransformsFor(CpuLevel, DType, PanelType, int) { return nullptr; }

const PreprocessKernels& PreprocessKernelsFor(CpuLevel) { return kPreprocessBaseline; }

}  // namespace cliptag
