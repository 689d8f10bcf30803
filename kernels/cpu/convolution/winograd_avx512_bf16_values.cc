// Winograd's transforms with AVX-512: maps in bf16, rows in f32.
#include <immintrin.h>

#include "kernels/cpu/convolution/winograd.h"

namespace cliptag {
namespace {

constexpr int64_t kPixelBytes = 2, kRowBytes = 4;

inline void StoreRow(char* p, __m512 v) { _mm512_store_ps(p, v); }
// To nearest even; NaN becomes a quiet NaN.
inline void StorePixel(char* p, __m512 v) {
  const __m512i u = _mm512_castps_si512(v), high = _mm512_srli_epi32(u, 16);
  const __m512i last = _mm512_and_si512(high, _mm512_set1_epi32(1));
  const __m512i rounded =
      _mm512_srli_epi32(_mm512_add_epi32(_mm512_add_epi32(u, _mm512_set1_epi32(0x7fff)), last), 16);
  const __mmask16 nan = _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q);
  const __m512i words = _mm512_mask_or_epi32(rounded, nan, high, _mm512_set1_epi32(0x40));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtepi32_epi16(words));
}

#include "kernels/cpu/convolution/winograd_transforms.inc"

}  // namespace

extern const WinogradTransforms kWinogradBf16F32Tile2 = {2, Input<2>, Output<2>};
extern const WinogradTransforms kWinogradBf16F32Tile4 = {4, Input<4>, Output<4>};

}  // namespace cliptag
