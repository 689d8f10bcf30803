// softmax(scale * Q K^T) V of one head in bf16 with AVX512-BF16: both products of pairs of bf16,
// sums and softmax in f32.
//
// For each block of 128 queries and 64 keys, K is transposed and V interleaved into pairs (in
// scratch, half the bytes of f32). Then for six queries at a time: scores as 6 x 64 sums in 24
// vectors, with Q broadcast from its place in memory; maximum, exponentials and their sum row by
// row; probabilities as bf16; and P V as 6 x 64 sums again. A row of a block takes 256 vector
// multiply-adds, some 60 instructions of exponentials and 20 of bookkeeping; both copies are a
// twelfth of that at 50 queries, less with more. Rejected: scaling Q first (a copy, and one more
// rounding); keeping scores in registers through the softmax (spills).
#include <immintrin.h>

#include "kernels/cpu/machine/instruction_sets.h"
#include "kernels/cpu/simd/attention_tiles.h"
#include "kernels/cpu/simd/simd.h"

namespace cliptag {
namespace {

constexpr int kWidth = 16;

#include "kernels/cpu/simd/vector.inc"

namespace tiles = attention_tiles::bf16;

struct Scratch {
  float *o, *maximum, *sum, *scores, *rescale;
  uint16_t *k, *v, *p;
  int64_t dim, wide;  // head_dim, padded to 16 and to 32

  Scratch(float* base, int head_dim)
      : o(base + tiles::OOffset(head_dim)),
        maximum(base + tiles::MaximumOffset(head_dim)),
        sum(base + tiles::SumOffset(head_dim)),
        scores(base + tiles::ScoreOffset(head_dim)),
        rescale(base + tiles::RescaleOffset(head_dim)),
        k(reinterpret_cast<uint16_t*>(base + tiles::KOffset(head_dim))),
        v(reinterpret_cast<uint16_t*>(base + tiles::VOffset(head_dim))),
        p(reinterpret_cast<uint16_t*>(base + tiles::POffset(head_dim))),
        dim(tiles::PaddedTo(16, head_dim)),
        wide(tiles::PaddedTo(32, head_dim)) {}
};

inline const uint16_t* RowOf(const void* base, int64_t row, int64_t stride) {
  return static_cast<const uint16_t*>(base) + row * stride;
}

// 32 elements from `d` on; zeros from `n` on, and if the row does not exist.
inline __m512i LoadPairs(const uint16_t* row, int64_t d, int64_t n, bool exists) {
  const int64_t left = n - d;
  const __mmask32 mask = !exists || left <= 0 ? 0 : left >= 32 ? ~0u : (1u << left) - 1u;
  return _mm512_maskz_loadu_epi16(mask, row + d);
}

inline void Transpose16(__m512i (&r)[16]) {
  __m512i t[16];
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) {
    t[2 * i] = _mm512_unpacklo_epi32(r[2 * i], r[2 * i + 1]);
    t[2 * i + 1] = _mm512_unpackhi_epi32(r[2 * i], r[2 * i + 1]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 16; i += 4) {
    r[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
    r[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
    r[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
    r[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    t[i] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0x88);
    t[i + 4] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0xdd);
    t[i + 8] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0x88);
    t[i + 12] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0xdd);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    r[i] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0x88);
    r[i + 4] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0x88);
    r[i + 8] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0xdd);
    r[i + 12] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0xdd);
  }
}

// Keys [first, first + keys) as (pairs of the head, kKeyBlock, 2).
void PackKeys(const AttentionTask& t, const Scratch& s, int first, int keys) {
  for (int j = 0; j < keys; j += 16) {
    for (int64_t d = 0; d < s.wide; d += 32) {
      __m512i rows[16];
#pragma GCC unroll 16
      for (int r = 0; r < 16; ++r) {
        const bool exists = j + r < keys;
        rows[r] =
            LoadPairs(RowOf(t.k, first + (exists ? j + r : 0), t.k_stride), d, t.head_dim, exists);
      }
      Transpose16(rows);
      uint16_t* to = s.k + (d / 2 * tiles::kKeyBlock + j) * 2;
#pragma GCC unroll 16
      for (int r = 0; r < 16; ++r) _mm512_store_si512(to + r * tiles::kKeyBlock * 2, rows[r]);
    }
  }
}

// Values [first, first + keys) as (pairs of keys, wide, 2).
void PackValues(const AttentionTask& t, const Scratch& s, int first, int keys) {
  alignas(64) uint16_t low[32], high[32];
  for (int i = 0; i < 16; ++i) {
    low[2 * i] = static_cast<uint16_t>(i), low[2 * i + 1] = static_cast<uint16_t>(32 + i);
    high[2 * i] = static_cast<uint16_t>(16 + i), high[2 * i + 1] = static_cast<uint16_t>(48 + i);
  }
  const __m512i low_order = _mm512_load_si512(low), high_order = _mm512_load_si512(high);
  for (int j = 0; j < keys; j += 2) {
    const bool both = j + 1 < keys;
    const uint16_t* even = RowOf(t.v, first + j, t.v_stride);
    const uint16_t* odd = RowOf(t.v, first + (both ? j + 1 : j), t.v_stride);
    uint16_t* to = s.v + j * s.wide;
    for (int64_t d = 0; d < s.wide; d += 32) {
      const __m512i a = LoadPairs(even, d, t.head_dim, true);
      const __m512i b = LoadPairs(odd, d, t.head_dim, both);
      _mm512_store_si512(to + 2 * d, _mm512_permutex2var_epi16(a, low_order, b));
      _mm512_store_si512(to + 2 * d + 32, _mm512_permutex2var_epi16(a, high_order, b));
    }
  }
}

inline __m512bh BroadcastPair(const uint16_t* p) {
  int32_t pair;
  __builtin_memcpy(&pair, p, 4);
  return (__m512bh)_mm512_set1_epi32(pair);
}

// sums[r][v] += x (kRows, pairs) times 16 kVectors columns of b (pairs, b_stride elements).
template <int kRows, int kVectors>
inline void MultiplyPairs(const uint16_t* x, int64_t x_stride, const uint16_t* b, int64_t b_stride,
                          int64_t pairs, __m512 (&sums)[kRows][kVectors]) {
  for (int64_t i = 0; i < pairs; ++i, x += 2, b += b_stride) {
    __m512bh columns[kVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) columns[v] = (__m512bh)_mm512_load_si512(b + 32 * v);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const __m512bh pair = BroadcastPair(x + r * x_stride);
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v)
        sums[r][v] = _mm512_dpbf16_ps(sums[r][v], columns[v], pair);
    }
  }
}

template <int kRows, int kVectors>
void Scores(const AttentionTask& t, const Scratch& s, int query) {
  __m512 sums[kRows][kVectors];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) sums[r][v] = _mm512_setzero_ps();
  }
  MultiplyPairs(RowOf(t.q, query, t.q_stride), t.q_stride, s.k, 2 * tiles::kKeyBlock,
                t.head_dim / 2, sums);
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      _mm512_store_ps(s.scores + r * tiles::kKeyBlock + 16 * v, sums[r][v]);
    }
  }
}

// Scores of one row to probabilities; only the first `seen` are visible. Updates the row's running
// maximum and sum; `rescale` becomes the factor for its accumulator.
inline void Softmax(const Scratch& s, int row, int in_block, int vectors, int seen, float scale) {
  const float* scores = s.scores + row * tiles::kKeyBlock;
  const IntVec iota = Iota();
  Vec values[tiles::kKeyBlock / 16], largest = Splat(kMinusInfinity);
  for (int v = 0; v < vectors; ++v) {
    const Vec scaled = Load(scores + 16 * v) * scale;
    values[v] = iota + 16 * v < seen ? scaled : Splat(kMinusInfinity);
    largest = Max(largest, values[v]);
  }
  const float before = s.maximum[in_block], found = _mm512_reduce_max_ps((__m512)largest);
  const float after = found > before ? found : before;
  // Without a visible key so far the row keeps its zeros: probabilities would be e^(-inf + inf).
  const bool none = after == kMinusInfinity;
  Vec total = {};
  for (int v = 0; v < vectors; ++v) {
    const Vec p = none ? Vec{} : Exp(values[v] - after);
    total += p;
    _mm256_store_si256(reinterpret_cast<__m256i*>(s.p + row * tiles::kKeyBlock + 16 * v),
                       (__m256i)_mm512_cvtneps_pbh((__m512)p));
  }
  const float factor = after == before || before == kMinusInfinity
                           ? (before == kMinusInfinity ? 0.0f : 1.0f)
                           : Exp(Splat(before - after))[0];
  s.rescale[row] = factor;
  s.sum[in_block] = s.sum[in_block] * factor + _mm512_reduce_add_ps((__m512)total);
  s.maximum[in_block] = after;
}

template <int kRows, int kVectors>
void Values(const Scratch& s, int in_block, int keys, int64_t d, bool first) {
  __m512 sums[kRows][kVectors];
  float* o = s.o + in_block * s.dim + d;
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
    const __m512 factor = _mm512_set1_ps(s.rescale[r]);
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      sums[r][v] = first ? _mm512_setzero_ps()
                         : _mm512_mul_ps(_mm512_load_ps(o + r * s.dim + 16 * v), factor);
    }
  }
  MultiplyPairs(s.p, tiles::kKeyBlock, s.v + 2 * d, 2 * s.wide, (keys + 1) / 2, sums);
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) _mm512_store_ps(o + r * s.dim + 16 * v, sums[r][v]);
  }
}

template <int kRows>
void AttendRows(const AttentionTask& t, const Scratch& s, int in_block, int query, int first_key,
                int keys) {
  const int vectors = (keys + 15) / 16;
  switch (vectors) {
    case 1:
      Scores<kRows, 1>(t, s, query);
      break;
    case 2:
      Scores<kRows, 2>(t, s, query);
      break;
    case 3:
      Scores<kRows, 3>(t, s, query);
      break;
    default:
      Scores<kRows, 4>(t, s, query);
  }
  for (int r = 0; r < kRows; ++r) {
    const int until = t.causal ? query + r + 1 - first_key : keys;
    Softmax(s, r, in_block + r, vectors, until < keys ? until : keys, t.scale);
  }
  const bool first = first_key == 0;
  int64_t d = 0;
  for (; d + 64 <= s.dim; d += 64) Values<kRows, 4>(s, in_block, keys, d, first);
  for (; d + 32 <= s.dim; d += 32) Values<kRows, 2>(s, in_block, keys, d, first);
  for (; d < s.dim; d += 16) Values<kRows, 1>(s, in_block, keys, d, first);
}

template <int kRows>
void AttendUpTo(const AttentionTask& t, const Scratch& s, int rows, int in_block, int query,
                int first_key, int keys) {
  if constexpr (kRows > 1) {
    if (rows < kRows) return AttendUpTo<kRows - 1>(t, s, rows, in_block, query, first_key, keys);
  }
  AttendRows<kRows>(t, s, in_block, query, first_key, keys);
}

void WriteRows(const AttentionTask& t, const Scratch& s, int first, int queries) {
  for (int r = 0; r < queries; ++r) {
    uint16_t* out = static_cast<uint16_t*>(t.out) + (first + r) * t.out_stride;
    const float scale = s.sum[r] == 0 ? 0.0f : 1.0f / s.sum[r];  // zeros if no key is visible
    for (int64_t d = 0; d < t.head_dim; d += 16) {
      const int64_t left = t.head_dim - d;
      const __mmask16 mask = left >= 16 ? 0xffff : static_cast<__mmask16>((1 << left) - 1);
      const Vec o = Load(s.o + r * s.dim + d) * scale;
      _mm256_mask_storeu_epi16(out + d, mask, (__m256i)_mm512_cvtneps_pbh((__m512)o));
    }
  }
}

}  // namespace

void AttentionAvx512Bf16(const AttentionTask& t) {
  // The last pair of an odd head size would reach into the next head.
  if (!t.bf16 || t.head_dim % 2 != 0) return kSimdAvx512.attention(t);
  const Scratch s(t.scratch, t.head_dim);
  const int end = t.q_first + t.q_count;
  for (int first = t.q_first; first < end; first += tiles::kQueryBlock) {
    const int queries = end - first < tiles::kQueryBlock ? end - first : tiles::kQueryBlock;
    for (int r = 0; r < queries; ++r) s.maximum[r] = kMinusInfinity, s.sum[r] = 0;
    const int visible = t.causal && first + queries < t.keys ? first + queries : t.keys;
    if (visible <= 0) __builtin_memset(s.o, 0, queries * s.dim * sizeof(float));
    const int parts = (queries + tiles::kQueryRows - 1) / tiles::kQueryRows;
    for (int key = 0; key < visible; key += tiles::kKeyBlock) {
      const int keys = visible - key < tiles::kKeyBlock ? visible - key : tiles::kKeyBlock;
      PackKeys(t, s, key, keys);
      PackValues(t, s, key, keys);
      for (int part = 0; part < parts; ++part) {
        const int row = queries * part / parts, rows = queries * (part + 1) / parts - row;
        AttendUpTo<tiles::kQueryRows>(t, s, rows, row, first + row, key, keys);
      }
    }
    WriteRows(t, s, first, queries);
  }
}

}  // namespace cliptag
