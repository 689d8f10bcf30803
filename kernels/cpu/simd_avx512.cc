// The vector kernels with 512-bit vectors: AVX-512 F, BW, CD, DQ, VL.
#include "kernels/cpu/attention_tiles.h"
#include "kernels/cpu/simd.h"
#include "kernels/cpu/simd_levels.h"

namespace cliptag {
namespace {

constexpr int kWidth = 16;
constexpr int kTile = 4;

#include "kernels/cpu/simd_kernels.inc"

}  // namespace

extern const SimdKernels kSimdAvx512 = kKernels;

}  // namespace cliptag
