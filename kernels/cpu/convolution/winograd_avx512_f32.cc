// Winograd's transforms with AVX-512: maps and rows in f32.
#include <immintrin.h>

#include "kernels/cpu/convolution/winograd.h"

namespace cliptag {
namespace {

constexpr int64_t kPixelBytes = 4, kRowBytes = 4;

inline void StorePixel(char* p, __m512 v) { _mm512_storeu_ps(p, v); }
inline void StoreRow(char* p, __m512 v) { _mm512_store_ps(p, v); }

#include "kernels/cpu/convolution/winograd_transforms.inc"

}  // namespace

extern const WinogradTransforms kWinogradF32Tile2 = {2, Input<2>, Output<2>};
extern const WinogradTransforms kWinogradF32Tile4 = {4, Input<4>, Output<4>};

}  // namespace cliptag
