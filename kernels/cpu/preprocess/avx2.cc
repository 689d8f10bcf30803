// The preprocessing loops with 8 lanes: AVX2.
#include <immintrin.h>

#include "kernels/cpu/preprocess/kernels.h"

namespace cliptag {
namespace {

constexpr int kLanes = 8;
#include "kernels/cpu/preprocess/types.inc"

inline Ints LoadBytes(const uint8_t* from) {
  return (Ints)_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i*)from));
}

inline Ints LoadWords(const uint8_t* from) {
  return (Ints)_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i*)from));
}

// sum + the products of the low and of the high words of each lane with those of `weights`.
inline Ints DotPairs(Ints sum, Ints samples, int32_t weights) {
  const __m256i products = _mm256_madd_epi16((__m256i)samples, _mm256_set1_epi32(weights));
  return (Ints)_mm256_add_epi32((__m256i)sum, products);
}

// 8 values of 0..65535 as words.
inline __m128i Narrow(__m256i values) {
  return _mm_packus_epi32(_mm256_castsi256_si128(values), _mm256_extracti128_si256(values, 1));
}

inline void StoreBytes(uint8_t* to, Ints values) {
  const __m128i words = Narrow((__m256i)values);
  _mm_storel_epi64((__m128i*)to, _mm_packus_epi16(words, words));
}

inline void StoreWords(uint16_t* to, Uints values) {
  _mm_storeu_si128((__m128i*)to, Narrow((__m256i)values));
}

#include "kernels/cpu/preprocess/loops.inc"
#include "kernels/cpu/preprocess/pairs.inc"

}  // namespace

extern const PreprocessKernels kPreprocessAvx2 = MakeKernels("avx2", &DownPairsU8);

}  // namespace cliptag
