// The vector kernels with 256-bit vectors: AVX2 and FMA.
#include "kernels/cpu/simd/attention_tiles.h"
#include "kernels/cpu/simd/simd.h"

namespace cliptag {
namespace {

constexpr int kWidth = 8;
constexpr int kTile = 2;

#include "kernels/cpu/simd/kernels.inc"

}  // namespace

extern const SimdKernels kSimdAvx2 = kKernels;

}  // namespace cliptag
