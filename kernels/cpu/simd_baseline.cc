// The vector kernels with 128-bit vectors: SSE2, NEON.
#include "kernels/cpu/attention_tiles.h"
#include "kernels/cpu/simd.h"
#include "kernels/cpu/simd_levels.h"

namespace cliptag {
namespace {

constexpr int kWidth = 4;
constexpr int kTile = 2;

#include "kernels/cpu/simd_kernels.inc"

}  // namespace

extern const SimdKernels kSimdBaseline = kKernels;

}  // namespace cliptag
