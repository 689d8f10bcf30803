// SimdKernelsFor on x86-64: the widest vectors the level allows.
#include "kernels/cpu/simd_levels.h"

namespace cliptag {

const SimdKernels& SimdKernelsFor(CpuLevel level) {
  if (level >= CpuLevel::kAvx512Bf16) return kSimdAvx512Bf16;
  if (level >= CpuLevel::kAvx512) return kSimdAvx512;
  if (level >= CpuLevel::kAvx2) return kSimdAvx2;
  return kSimdBaseline;
}

}  // namespace cliptag
