// Products of bytes with AVX512-VNNI: quantized activations (unsigned) times weights (signed), four
// at a time, summed exactly in 32 bits: 3072 inputs of 255 * 127 are 1e8.
#include <immintrin.h>

#include "kernels/cpu/products/panel/kernels.h"

namespace cliptag {
namespace {

#include "kernels/cpu/products/panel/finish.inc"

constexpr size_t kElementBytes = 1;
using Sum = __m512i;

inline Sum Zero() { return _mm512_setzero_si512(); }
inline __m512i Load(const char* p) { return _mm512_load_si512(p); }
inline __m512i Broadcast(const char* p) { return _mm512_set1_epi32(LoadWord<int32_t>(p)); }
inline Sum MultiplyAdd(Sum sum, __m512i x, __m512i weights) {
  return _mm512_dpbusd_epi32(sum, x, weights);
}
inline void Store(float* p, Sum sum) { _mm512_store_si512(p, sum); }
template <typename Tile>
inline void Finish(const PanelTask& task, const Tile& tile, int rows, float* block) {
  FinishBytes(task, tile.row_quantization, rows, block);
}

#include "kernels/cpu/products/panel/avx512.inc"

}  // namespace

extern const PanelKernel kPanelAvx512Vnni = {"avx512_vnni 14x32", PanelType::kInt8, 4, 4, Multiply};

}  // namespace cliptag
