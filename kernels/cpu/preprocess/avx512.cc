// The preprocessing loops with 16 lanes: AVX-512. Intrinsics with a full mask, since GCC 12 warns
// of undefined values in its own header for those without.
#include <immintrin.h>

#include "kernels/cpu/preprocess/kernels.h"

namespace cliptag {
namespace {

constexpr int kLanes = 16;
#include "kernels/cpu/preprocess/types.inc"

inline Ints LoadBytes(const uint8_t* from) {
  return (Ints)_mm512_maskz_cvtepu8_epi32(0xFFFF, _mm_loadu_si128((const __m128i*)from));
}

inline Ints LoadWords(const uint8_t* from) {
  return (Ints)_mm512_maskz_cvtepu16_epi32(0xFFFF, _mm256_loadu_si256((const __m256i*)from));
}

// sum + the products of the low and of the high words of each lane with those of `weights`.
inline Ints DotPairs(Ints sum, Ints samples, int32_t weights) {
  const __m512i products = _mm512_madd_epi16((__m512i)samples, _mm512_set1_epi32(weights));
  return (Ints)_mm512_maskz_add_epi32(0xFFFF, (__m512i)sum, products);
}

inline void StoreBytes(uint8_t* to, Ints values) {
  _mm_storeu_si128((__m128i*)to, _mm512_maskz_cvtepi32_epi8(0xFFFF, (__m512i)values));
}

inline void StoreWords(uint16_t* to, Uints values) {
  _mm256_storeu_si256((__m256i*)to, _mm512_maskz_cvtepi32_epi16(0xFFFF, (__m512i)values));
}

#include "kernels/cpu/preprocess/loops.inc"
#include "kernels/cpu/preprocess/pairs.inc"

}  // namespace

extern const PreprocessKernels kPreprocessAvx512 = MakeKernels("avx512", &DownPairsU8);

}  // namespace cliptag
