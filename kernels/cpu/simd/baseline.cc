// The vector kernels with 128-bit vectors: SSE2, NEON.
#include "kernels/cpu/simd/attention_tiles.h"
#include "kernels/cpu/simd/simd.h"

namespace cliptag {
namespace {

constexpr int kWidth = 4;
constexpr int kTile = 2;

#include "kernels/cpu/simd/kernels.inc"

}  // namespace

extern const SimdKernels kSimdBaseline = kKernels;

}  // namespace cliptag
