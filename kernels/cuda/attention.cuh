// Fused attention: out = softmax(scale q k^T) v for every head of every batch item, read from the
// packed QKV product, in one pass with the online softmax; no score ever reaches memory.
//
//   grid (query blocks, heads, batch), 1 to 4 warps, tiles by attention_tile.h
//
// A warp keeps its 32 (or 16) queries and their sums in registers; K and V come in tiles of 64 (or
// 32) keys through shared memory, double-buffered with cp.async, each waited for as late as it is
// needed:
//   wait for K(j), barrier, start K(j+1), S = q K(j)^T, softmax,
//   wait for V(j), barrier, start V(j+1), O += P V(j)
// The accumulators of q k^T have the very layout that the left operand of P V wants, so P stays in
// registers. A head size that 16 does not divide ends with one m16n8k8.
//
// Cost, ViT-L/14 at batch 64 (257 tokens, 16 heads of 64):
//   memory    q, k, v read once (the three query blocks of a head share K and V in the L2) 101 MB,
//             outputs 34 MB: 31 us at 4.3 TB/s
//   products  17.3 GFLOP, 20.5 with queries padded to 288 and keys to 272: 26 us at 790 TFLOP/s, 49
//             to 68 us at the 300 to 420 that mma.sync is said to reach on Hopper
//   exp2      80 M at 16 a cycle on each of 132 multiprocessors: 22 us, overlapped
// 50 to 70 us were expected; an H200 takes 100 (2026-11-26; cuDNN 117), with a third of the issue
// slots used: warps wait for each other's tensor cores and for their own results. The products of
// the same layer take 550 us.
//
// Rejected: Q through shared memory (read once, straight into fragments: saves the space and a
// barrier); all of K and V of a head in shared memory (75 KiB at 257 tokens, three blocks of one
// warp-load each; nothing left to overlap and no 577); one warp per 16 queries (bound by shared
// memory, see attention_tile.h); wgmma with TMA (a tile of 64 queries a warp group wastes 20 % of
// 257 and 197; worth its own variant from 577 tokens on).
#pragma once

#include <cmath>

#include "kernels/cuda/attention_tile.h"
#include "kernels/cuda/device.cuh"

namespace cliptag::cuda {

// Pointers are 16-byte aligned and strides multiples of 8 elements.
struct AttentionParams {
  const void* q = nullptr;  // (batch * q_tokens, heads * head_dim)
  const void* k = nullptr;  // (batch * kv_tokens, heads * head_dim)
  const void* v = nullptr;  // as k
  void* out = nullptr;      // as q
  int64_t q_stride = 0, k_stride = 0, v_stride = 0, out_stride = 0;  // elements
  int q_tokens = 0, kv_tokens = 0;
  float scale_log2 = 1.0f;              // scale * log2(e), positive: exp(x) = exp2(x log2(e))
  const int32_t* kv_lengths = nullptr;  // keys seen of each batch item; null = all
};

// How many keys of this batch item are seen; none when zero or less.
__device__ __forceinline__ int VisibleKeys(const AttentionParams& p, int item) {
  if (p.kv_lengths == nullptr) return p.kv_tokens;
  const int length = p.kv_lengths[item];
  return length < p.kv_tokens ? length : p.kv_tokens;
}

__device__ __forceinline__ float NegativeInfinity() { return -INFINITY; }

template <typename T, int kHeadDim, bool kCausal, int kRowTiles>
struct AttentionWarp {
  static constexpr AttentionTile kTile = AttentionTileFor(kHeadDim, kRowTiles);
  static constexpr int kRows = 16 * kRowTiles;  // queries of a warp
  static constexpr int kKeys = kTile.keys;      // of a tile
  static constexpr int kKeySteps = kKeys / 16;
  static constexpr int kChunks = kHeadDim / 8;       // 16-byte chunks of a row
  static constexpr int kSteps = kHeadDim / 16;       // whole m16n8k16 along a row
  static constexpr bool kTail = kHeadDim % 16 != 0;  // and half of one
  static constexpr int kStride = AttentionRowElements(kHeadDim);
  static constexpr int kTileElements = kKeys * kStride;
  static_assert(IsAttentionHeadDim(kHeadDim) && kHeadDim % 8 == 0 && kKeys % 16 == 0);
  static_assert(kAttentionMaxWarps * kRows <= 4 * kKeys, "the outputs pass through the tiles");

  // What a lane holds. g = lane / 4 and t = lane % 4 say which rows and columns: rows g and g + 8
  // of a row tile, columns 2 t and 2 t + 1 of every eight.
  uint32_t q[kRowTiles][kSteps + kTail][4];
  float out[kRowTiles][kChunks][4];  // unnormalised
  float score[kRowTiles][2 * kKeySteps][4];
  uint32_t weight[kRowTiles][kKeySteps]
                 [4];         // exp2 of the scores, as T, ready for the product with V
  float shift[kRowTiles][2];  // largest score of the row so far, or a little less; scaled
  float sum[kRowTiles][2];    // of the weights, this lane's columns alone
  int lane;
  int first_row;  // of this warp

  // Steps of 16 keys that are worked on where `keys` of a tile are seen: all, two or one, each a
  // piece of straight code. Conditions between the products would keep the compiler from starting
  // the next fragments' loads meanwhile (on an H200 that alone cost half of the time).
  static __device__ __forceinline__ int StepsFor(int keys) {
    return keys > 32 ? kKeySteps : (keys + 15) / 16;
  }

  // Keys first .. first + kKeys - 1 of one head into a tile; unseen ones become zero. Rows that no
  // step works on are left alone.
  static __device__ __forceinline__ void StartTile(T* tile, const T* source, int64_t stride,
                                                   int first, int visible) {
    if (first + kKeys <= visible) {
      CopyRows<true>(tile, source, stride, first, kKeys, visible);
    } else {
      CopyRows<false>(tile, source, stride, first, 16 * StepsFor(visible - first), visible);
    }
  }
  template <bool kAllSeen>
  static __device__ __forceinline__ void CopyRows(T* tile, const T* source, int64_t stride,
                                                  int first, int rows, int visible) {
    const int thread = static_cast<int>(threadIdx.x), threads = static_cast<int>(blockDim.x);
    const auto copy = [&](T* to, const T* from, int row) {
      if constexpr (kAllSeen) {
        CpAsync<16>(to, from);
      } else {
        const bool seen = first + row < visible;
        CpAsync<16>(to, seen ? from : source, seen ? 16 : 0);
      }
    };
    if constexpr (kWarpSize % kChunks == 0) {  // a thread's chunk is the same in every row
      const int turn = threads / kChunks;      // rows
      int row = thread / kChunks;
      T* to = tile + row * kStride + thread % kChunks * 8;
      const T* from = source + (first + row) * stride + thread % kChunks * 8;
      for (; row < rows; row += turn, to += turn * kStride, from += turn * stride) {
        copy(to, from, row);
      }
    } else {
      for (int i = thread; i < rows * kChunks; i += threads) {
        const int row = i / kChunks, chunk = i % kChunks;
        copy(tile + row * kStride + chunk * 8, source + (first + row) * stride + chunk * 8, row);
      }
    }
  }

  // `base` is the row of the batch item's first token, in the columns of the head.
  __device__ __forceinline__ void LoadQueries(const T* base, int64_t stride, int tokens) {
    const int g = lane / 4, t = lane % 4;
#pragma unroll
    for (int r = 0; r < kRowTiles; ++r) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {  // register i: row half i % 2, column half i / 2
        const int row = first_row + 16 * r + g + 8 * (i % 2);
        const T* from = base + (row < tokens ? row : 0) * stride + 2 * t + 8 * (i / 2);
#pragma unroll
        for (int s = 0; s < kSteps + kTail; ++s) {
          if (s < kSteps || i < 2) q[r][s][i] = row < tokens ? Load4(from + 16 * s) : 0;
        }
      }
    }
  }

  __device__ __forceinline__ void Clear() {
#pragma unroll
    for (int r = 0; r < kRowTiles; ++r) {
#pragma unroll
      for (int c = 0; c < kChunks; ++c) {
#pragma unroll
        for (int i = 0; i < 4; ++i) out[r][c][i] = 0;
      }
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        shift[r][h] = NegativeInfinity();
        sum[r][h] = 0;
      }
    }
  }

  // score (kRows, 16 kCount) = q (kRows, kHeadDim) times the transpose of the tile's first keys.
  template <int kCount>
  __device__ __forceinline__ void Scores(const T* tile) {
#pragma unroll
    for (int n = 0; n < 2 * kCount; ++n) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
#pragma unroll
        for (int r = 0; r < kRowTiles; ++r) score[r][n][i] = 0;
      }
    }
    const int lane = LaneId();
    // Of the four 8 x 8 matrices of an ldmatrix: keys 0-7 and 8-15 outside, columns 0-7 and 8-15
    // inside.
    const T* row = tile + (lane / 16 * 8 + lane % 8) * kStride + lane / 8 % 2 * 8;
#pragma unroll
    for (int s = 0; s < kSteps; ++s) {
#pragma unroll
      for (int n = 0; n < kCount; ++n) {
        uint32_t k[4];
        LdMatrixX4(k, row + n * 16 * kStride + s * 16);
#pragma unroll
        for (int r = 0; r < kRowTiles; ++r) {
          Mma16816<T>(score[r][2 * n], q[r][s], k[0], k[1]);
          Mma16816<T>(score[r][2 * n + 1], q[r][s], k[2], k[3]);
        }
      }
    }
    if constexpr (kTail) ScoresTail<kCount>(tile);
  }

  // The last eight columns.
  template <int kCount>
  __device__ __forceinline__ void ScoresTail(const T* tile) {
    const T* row = tile + lane % 16 * kStride + kSteps * 16;
#pragma unroll
    for (int n = 0; n < kCount; ++n) {
      uint32_t k[2];
      LdMatrixX2(k, row + n * 16 * kStride);
#pragma unroll
      for (int r = 0; r < kRowTiles; ++r) {
        Mma1688<T>(score[r][2 * n], q[r][kSteps][0], q[r][kSteps][1], k[0]);
        Mma1688<T>(score[r][2 * n + 1], q[r][kSteps][0], q[r][kSteps][1], k[1]);
      }
    }
  }

  // `first` is the tile's first key.
  template <int kCount>
  __device__ __forceinline__ void Mask(int first, int visible) {
    const int g = lane / 4, t = lane % 4;
#pragma unroll
    for (int r = 0; r < kRowTiles; ++r) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int row = first_row + 16 * r + g + 8 * (i / 2);
        const int bound = kCausal && row + 1 < visible ? row + 1 : visible;
#pragma unroll
        for (int n = 0; n < 2 * kCount; ++n) {
          if (first + 8 * n + 2 * t + i % 2 >= bound) score[r][n][i] = NegativeInfinity();
        }
      }
    }
  }

  // Scores to weights. What was summed so far is scaled to a new maximum only where that is larger
  // by more than kLazy powers of two: until then weights up to 2^kLazy are as exact, and the sums
  // of all rows are left alone in most tiles. Loops run over the rows inside, so that neighbouring
  // instructions do not wait for each other.
  template <int kCount>
  __device__ __forceinline__ void Softmax(float scale_log2) {
    constexpr float kLazy = 8;
    float m[kRowTiles][2];
    bool grown = false;
#pragma unroll
    for (int r = 0; r < kRowTiles; ++r) m[r][0] = m[r][1] = NegativeInfinity();
#pragma unroll
    for (int n = 0; n < 2 * kCount; ++n) {
#pragma unroll
      for (int r = 0; r < kRowTiles; ++r) {
#pragma unroll
        for (int h = 0; h < 2; ++h) {
          m[r][h] = fmaxf(m[r][h], fmaxf(score[r][n][2 * h], score[r][n][2 * h + 1]));
        }
      }
    }
#pragma unroll
    for (int lanes = 1; lanes <= 2; lanes *= 2) {
#pragma unroll
      for (int r = 0; r < kRowTiles; ++r) {
#pragma unroll
        for (int h = 0; h < 2; ++h) {
          m[r][h] = fmaxf(m[r][h], __shfl_xor_sync(kAllLanes, m[r][h], lanes));
        }
      }
    }
#pragma unroll
    for (int r = 0; r < kRowTiles; ++r) {
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        m[r][h] *= scale_log2;
        grown = grown || m[r][h] - shift[r][h] > kLazy;
      }
    }
    if (__any_sync(kAllLanes, grown)) Rescale(m);
#pragma unroll
    for (int n = 0; n < 2 * kCount; ++n) {
#pragma unroll
      for (int r = 0; r < kRowTiles; ++r) {
#pragma unroll
        for (int h = 0; h < 2; ++h) {
          const float low = Exp2(score[r][n][2 * h] * scale_log2 - shift[r][h]);
          const float high = Exp2(score[r][n][2 * h + 1] * scale_log2 - shift[r][h]);
          sum[r][h] += low + high;
          // Columns 8 n and on of the scores are half of step n / 2 of the product with V.
          weight[r][n / 2][h + 2 * (n % 2)] = Pack2<T>(low, high);
        }
      }
    }
  }

  // To the larger maxima: of every row finite after the first tile, since every row sees key 0; the
  // first factor is exp2(-inf) = 0.
  __device__ __forceinline__ void Rescale(const float (&m)[kRowTiles][2]) {
#pragma unroll
    for (int r = 0; r < kRowTiles; ++r) {
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        const float to = fmaxf(shift[r][h], m[r][h]);
        const float shrink = Exp2(shift[r][h] - to);
        shift[r][h] = to;
        sum[r][h] *= shrink;
#pragma unroll
        for (int c = 0; c < kChunks; ++c) {
          out[r][c][2 * h] *= shrink;
          out[r][c][2 * h + 1] *= shrink;
        }
      }
    }
  }

  // out (kRows, kHeadDim) += weight (kRows, 16 kCount) times the tile's first rows.
  template <int kCount>
  __device__ __forceinline__ void Accumulate(const T* tile) {
    const int lane = LaneId();
    // Keys 0-7 and 8-15 inside, columns 0-7 and 8-15 outside; transposed while loading.
    const T* row = tile + lane % 16 * kStride + lane / 16 * 8;
#pragma unroll
    for (int n = 0; n < kCount; ++n) {
#pragma unroll
      for (int s = 0; s < kSteps; ++s) {
        uint32_t v[4];
        LdMatrixX4Trans(v, row + n * 16 * kStride + s * 16);
#pragma unroll
        for (int r = 0; r < kRowTiles; ++r) {
          Mma16816<T>(out[r][2 * s], weight[r][n], v[0], v[1]);
          Mma16816<T>(out[r][2 * s + 1], weight[r][n], v[2], v[3]);
        }
      }
      if constexpr (kTail) {
        uint32_t v[2];
        LdMatrixX2Trans(v, tile + (n * 16 + lane % 16) * kStride + kSteps * 16);
#pragma unroll
        for (int r = 0; r < kRowTiles; ++r) {
          Mma16816<T>(out[r][2 * kSteps], weight[r][n], v[0], v[1]);
        }
      }
    }
  }

  // A tile's keys, kCount steps of them, from its scores to the weights.
  template <int kCount>
  __device__ __forceinline__ void Weights(const T* tile, int first, int visible, float scale_log2) {
    Scores<kCount>(tile);
    const int end = first + 16 * kCount;
    if (end > visible || (kCausal && end > first_row + 1)) Mask<kCount>(first, visible);
    Softmax<kCount>(scale_log2);
  }

  // Divides by the sums and writes the rows that there are, through `stage` (kRows, kStride) of
  // this warp, so that they leave in whole 16-byte chunks. The 4-byte stores there meet no bank
  // conflict: the eight rows of a warp are an odd number of units apart, the four columns are the
  // words of a unit.
  __device__ __forceinline__ void StoreOutput(T* stage, T* base, int64_t stride, int tokens) {
    const int g = lane / 4, t = lane % 4;
#pragma unroll
    for (int r = 0; r < kRowTiles; ++r) {
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        float total = sum[r][h];
        total += __shfl_xor_sync(kAllLanes, total, 1);
        total += __shfl_xor_sync(kAllLanes, total, 2);
        const float inverse =
            total > 0 ? Divide(1.0f, total) : 0.0f;  // a row that saw no key is zero
        T* row = stage + (16 * r + 8 * h + g) * kStride + 2 * t;
#pragma unroll
        for (int c = 0; c < kChunks; ++c) {
          Store4(row + 8 * c, Pack2<T>(out[r][c][2 * h] * inverse, out[r][c][2 * h + 1] * inverse));
        }
      }
    }
    __syncwarp();
    for (int i = lane; i < kRows * kChunks; i += kWarpSize) {
      const int row = i / kChunks, chunk = i % kChunks;
      if (first_row + row < tokens) {
        Store16(base + (first_row + row) * stride + chunk * 8,
                Load16(stage + row * kStride + chunk * 8));
      }
    }
  }
};

template <typename T, int kHeadDim, bool kCausal, int kRowTiles>
__global__ void __launch_bounds__(kAttentionMaxWarps* kWarpSize,
                                  AttentionTileFor(kHeadDim, kRowTiles).min_blocks)
    AttentionKernel(AttentionParams p) {
  using Warp = AttentionWarp<T, kHeadDim, kCausal, kRowTiles>;
  constexpr int kKeys = Warp::kKeys;
  T* const k_tiles = reinterpret_cast<T*>(DynamicShared());  // (2, kKeys, kStride)
  T* const v_tiles = k_tiles + 2 * Warp::kTileElements;      // (2, kKeys, kStride)

  const int item = static_cast<int>(blockIdx.z);
  const int column = static_cast<int>(blockIdx.y) * kHeadDim;
  const int warp = static_cast<int>(threadIdx.x) / kWarpSize;
  const int block_rows = static_cast<int>(blockDim.x) / kWarpSize * Warp::kRows;
  const int block_row = static_cast<int>(blockIdx.x) * block_rows;
  const int64_t q_row = int64_t{item} * p.q_tokens, kv_row = int64_t{item} * p.kv_tokens;
  const T* k = static_cast<const T*>(p.k) + kv_row * p.k_stride + column;
  const T* v = static_cast<const T*>(p.v) + kv_row * p.v_stride + column;

  int visible = VisibleKeys(p, item);  // to any query of this block
  if (kCausal && block_row + block_rows < visible) visible = block_row + block_rows;

  Warp::StartTile(k_tiles, k, p.k_stride, 0, visible);
  CpAsyncCommit();
  Warp::StartTile(v_tiles, v, p.v_stride, 0, visible);
  CpAsyncCommit();

  Warp w;
  w.lane = static_cast<int>(threadIdx.x) % kWarpSize;
  w.first_row = block_row + warp * Warp::kRows;
  const bool has_rows = w.first_row < p.q_tokens;
  w.Clear();
  w.LoadQueries(static_cast<const T*>(p.q) + q_row * p.q_stride + column, p.q_stride, p.q_tokens);

  for (int first = 0, here = 0; first < visible; first += kKeys) {
    const int next = first + kKeys, there = Warp::kTileElements - here;
    // Keys of this tile that any query of the warp sees.
    int limit = visible - first;
    if (kCausal && w.first_row + Warp::kRows < visible) limit = w.first_row + Warp::kRows - first;
    const int steps = has_rows && limit > 0 ? Warp::StepsFor(limit) : 0;

    CpAsyncWait<1>();  // K of this tile; V may still be under way
    __syncthreads();   // everyone's part of it; and nobody reads the other K tile any more
    if (next < visible) Warp::StartTile(k_tiles + there, k, p.k_stride, next, visible);
    CpAsyncCommit();
    if (steps == Warp::kKeySteps) {
      w.template Weights<Warp::kKeySteps>(k_tiles + here, first, visible, p.scale_log2);
    } else if (steps == 2) {
      w.template Weights<2>(k_tiles + here, first, visible, p.scale_log2);
    } else if (steps == 1) {
      w.template Weights<1>(k_tiles + here, first, visible, p.scale_log2);
    }
    CpAsyncWait<1>();  // V of this tile
    __syncthreads();   // as above
    if (next < visible) Warp::StartTile(v_tiles + there, v, p.v_stride, next, visible);
    CpAsyncCommit();
    if (steps == Warp::kKeySteps) {
      w.template Accumulate<Warp::kKeySteps>(v_tiles + here);
    } else if (steps == 2) {
      w.template Accumulate<2>(v_tiles + here);
    } else if (steps == 1) {
      w.template Accumulate<1>(v_tiles + here);
    }
    here = there;
  }
  // The outputs take the place of the tiles: of K's, which nobody has read since the last barrier,
  // and where these are too small, of V's.
  if constexpr (kAttentionMaxWarps * Warp::kRows > 2 * kKeys) __syncthreads();
  if (has_rows) {
    w.StoreOutput(k_tiles + warp * Warp::kRows * Warp::kStride,
                  static_cast<T*>(p.out) + q_row * p.out_stride + column, p.out_stride, p.q_tokens);
  }
}

}  // namespace cliptag::cuda
