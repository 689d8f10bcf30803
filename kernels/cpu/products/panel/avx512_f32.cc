// Products in f32 with AVX-512.
#include <immintrin.h>

#include "kernels/cpu/products/panel/kernels.h"

namespace cliptag {
namespace {

constexpr size_t kElementBytes = 4;
using Sum = __m512;

inline Sum Zero() { return _mm512_setzero_ps(); }
inline __m512 Load(const char* p) { return _mm512_load_ps(p); }
inline __m512 Broadcast(const char* p) { return _mm512_set1_ps(LoadWord<float>(p)); }
inline Sum MultiplyAdd(Sum sum, __m512 x, __m512 weights) {
  return _mm512_fmadd_ps(x, weights, sum);
}
inline void Store(float* p, Sum sum) { _mm512_store_ps(p, sum); }
template <typename Tile>
inline void Finish(const PanelTask&, const Tile&, int, float*) {}

#include "kernels/cpu/products/panel/avx512.inc"

}  // namespace

extern const PanelKernel kPanelAvx512F32 = {"avx512 14x32", PanelType::kF32, 1, 1, Multiply};

}  // namespace cliptag
