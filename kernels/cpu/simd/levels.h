// The tables behind SimdKernelsFor, one per level that is compiled. They are constants: code of a
// file that is compiled for a level must not run while the program is loaded, on whatever CPU.
#pragma once

#include "kernels/cpu/simd/simd.h"

namespace cliptag {

extern const SimdKernels kSimdBaseline;
extern const SimdKernels kSimdAvx2;
extern const SimdKernels kSimdAvx512;

// What AVX512-BF16 does in place of the last one's.
void AttentionAvx512Bf16(const AttentionTask& task);
void EpilogueAvx512Bf16(const EpilogueTask& task);

}  // namespace cliptag
