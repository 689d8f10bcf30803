// Products of bf16 with AVX512-BF16: pairs, summed in f32.
#include <immintrin.h>

#include "kernels/cpu/products/panel/kernels.h"

namespace cliptag {
namespace {

constexpr size_t kElementBytes = 2;
using Sum = __m512;

inline Sum Zero() { return _mm512_setzero_ps(); }
inline __m512bh Load(const char* p) { return (__m512bh)_mm512_load_si512(p); }
inline __m512bh Broadcast(const char* p) {
  return (__m512bh)_mm512_set1_epi32(LoadWord<int32_t>(p));
}
inline Sum MultiplyAdd(Sum sum, __m512bh x, __m512bh weights) {
  return _mm512_dpbf16_ps(sum, weights, x);  // the broadcast last: it can be a memory operand
}
inline void Store(float* p, Sum sum) { _mm512_store_ps(p, sum); }
template <typename Tile>
inline void Finish(const PanelTask&, const Tile&, int, float*) {}

#include "kernels/cpu/products/panel/avx512.inc"

}  // namespace

extern const PanelKernel kPanelAvx512Bf16 = {"avx512_bf16 14x32", PanelType::kBf16, 2, 2, Multiply};

}  // namespace cliptag
