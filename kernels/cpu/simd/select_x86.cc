// SimdKernelsFor on x86-64: the widest vectors the level allows.
#include "kernels/cpu/simd/levels.h"

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
  if (level >= CpuLevel::kAvx2) return kSimdAvx2;
  return kSimdBaseline;
}

}  // namespace cliptag
