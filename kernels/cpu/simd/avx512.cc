// The vector kernels with 512-bit vectors: AVX-512 F, BW, CD, DQ, VL.
#include "kernels/cpu/simd/attention_tiles.h"
#include "kernels/cpu/simd/simd.h"

namespace cliptag {
namespace {

constexpr int kWidth = 16;
constexpr int kTile = 4;

#include "kernels/cpu/simd/kernels.inc"

}  // namespace

extern const SimdKernels kSimdAvx512 = kKernels;

}  // namespace cliptag
