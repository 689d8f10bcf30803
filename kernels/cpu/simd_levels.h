// The tables behind SimdKernelsFor, one per level that is compiled.
#pragma once

#include "kernels/cpu/simd.h"

namespace cliptag {

extern const SimdKernels kSimdBaseline;
extern const SimdKernels kSimdAvx2;
extern const SimdKernels kSimdAvx512;
extern const SimdKernels kSimdAvx512Bf16;

// The epilogue of the last.
void EpilogueAvx512Bf16(const EpilogueTask& task);

}  // namespace cliptag
