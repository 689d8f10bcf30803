// The plain epilogue to bf16 (bias, residual, ReLU) with the conversion instruction of AVX512-BF16:
// a third of the instructions of the general epilogue, whose rounding takes nine per vector. In the
// first layers of a ResNet, whose products sum 64 inputs, the general one takes half as long as the
// product. Subnormal results become zeros.
#include <immintrin.h>

#include "kernels/cpu/machine/instruction_sets.h"
#include "kernels/cpu/simd/simd.h"

namespace cliptag {
namespace {

inline __m512 LoadBf16(const uint16_t* p) {
  const __m256i words = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(words), 16));
}

}  // namespace

void EpilogueAvx512Bf16(const EpilogueTask& t) {
  if (!t.bf16 || t.activation != Activation::kNone || t.accumulate || t.cols % 16 != 0) {
    return kSimdAvx512.epilogue(t);
  }
  const __m512 least = _mm512_set1_ps(t.relu ? 0.0f : -__builtin_inff());
  for (int64_t c = 0; c < t.cols; c += 16) {
    const __m512 bias = t.bias ? _mm512_loadu_ps(t.bias + c) : _mm512_setzero_ps();
    const float* in = t.block + c;
    uint16_t* out = static_cast<uint16_t*>(t.out) + c;
    const uint16_t* residual = static_cast<const uint16_t*>(t.residual);
    if (residual) residual += c;
    for (int64_t r = 0; r < t.rows; ++r, in += t.block_stride, out += t.out_stride) {
      __m512 y = _mm512_add_ps(_mm512_loadu_ps(in), bias);
      if (residual) {
        y = _mm512_add_ps(y, LoadBf16(residual));
        residual += t.residual_stride;
      }
      y = _mm512_max_ps(least, y);  // NaN stays: max returns its second operand
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), (__m256i)_mm512_cvtneps_pbh(y));
    }
  }
}

}  // namespace cliptag
