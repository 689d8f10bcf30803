// The vector kernels with 256-bit vectors: AVX2 and FMA.
#include "kernels/cpu/attention_tiles.h"
#include "kernels/cpu/simd.h"
#include "kernels/cpu/simd_levels.h"

namespace cliptag {
namespace {

constexpr int kWidth = 8;
constexpr int kTile = 2;

#include "kernels/cpu/simd_kernels.inc"

}  // namespace

extern const SimdKernels kSimdAvx2 = kKernels;

}  // namespace cliptag
