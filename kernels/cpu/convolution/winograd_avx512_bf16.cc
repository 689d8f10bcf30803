// Winograd's transforms with AVX512-BF16: maps and rows in bf16. Subnormals become zeros.
#include <immintrin.h>

#include "kernels/cpu/convolution/winograd.h"

namespace cliptag {
namespace {

constexpr int64_t kPixelBytes = 2, kRowBytes = 2;

inline void StorePixel(char* p, __m512 v) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), (__m256i)_mm512_cvtneps_pbh(v));
}
inline void StoreRow(char* p, __m512 v) { StorePixel(p, v); }

#include "kernels/cpu/convolution/winograd_transforms.inc"

}  // namespace

extern const WinogradTransforms kWinogradBf16Tile2 = {2, Input<2>, Output<2>};

}  // namespace cliptag
