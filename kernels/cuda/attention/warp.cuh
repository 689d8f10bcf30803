// A warp of the fused attention (attention.cuh) and its steps for a tile of keys or values: copy
// its part of the tile, multiply queries and keys, turn scores into weights, add the weighted
// values. The members are registers; all 32 lanes call every function.
#pragma once

#include "kernels/cuda/attention/params.cuh"
#include "kernels/cuda/attention/tile.h"
#include "kernels/cuda/device/device.cuh"

namespace cliptag::cuda {

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

  // The elements of a lane, with g = lane / 4 and t = lane % 4: rows g and g + 8 of a row tile,
  // columns 2 t and 2 t + 1 of every eight.
  uint32_t q[kRowTiles][kSteps + kTail][4];
  float out[kRowTiles][kChunks][4];  // unnormalised
  float score[kRowTiles][2 * kKeySteps][4];
  uint32_t weight[kRowTiles][kKeySteps][4];  // exp2 of scores, as T: left operand of P V
  float shift[kRowTiles][2];  // largest score of the row so far, or a little less; scaled
  float sum[kRowTiles][2];    // of the weights in this lane's columns
  int lane;
  int first_row;  // of this warp

  // The number of steps of 16 keys for a tile with `keys` visible keys: all, two or one, each with
  // straight-line code. Branches between the products would keep the compiler from loading the next
  // fragments early (on an H200 that alone cost half of the time).
  static __device__ __forceinline__ int StepsFor(int keys) {
    return keys > 32 ? kKeySteps : (keys + 15) / 16;
  }

  // Starts copying keys first .. first + kKeys - 1 of one head to a tile; invisible ones become
  // zero. Rows that no step reads are not written.
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

  // Scores to weights. The sums so far are rescaled to a new maximum only if it is larger by more
  // than kLazy powers of two: weights of up to 2^kLazy are as exact, and in most tiles no row needs
  // rescaling. The inner loops run over rows, so that neighbouring instructions are independent.
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
          // Columns 8 n to 8 n + 7 of the scores are half of step n / 2 of the product with V.
          weight[r][n / 2][h + 2 * (n % 2)] = Pack2<T>(low, high);
        }
      }
    }
  }

  // Rescales to the larger maxima. They are finite for every row after the first tile, since key 0
  // is visible to all rows; the first factor is exp2(-inf) = 0.
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

  // Scores and weights for kCount steps of a tile's keys.
  template <int kCount>
  __device__ __forceinline__ void Weights(const T* tile, int first, int visible, float scale_log2) {
    Scores<kCount>(tile);
    const int end = first + 16 * kCount;
    if (end > visible || (kCausal && end > first_row + 1)) Mask<kCount>(first, visible);
    Softmax<kCount>(scale_log2);
  }

  // Divides by the sums and writes the rows that exist, through `stage` (kRows, kStride) of this
  // warp in shared memory, in 16-byte chunks. The 4-byte stores to `stage` have no bank conflict:
  // the strides of the eight rows are an odd number of units, and the four columns are the words of
  // one unit.
  __device__ __forceinline__ void StoreOutput(T* stage, T* base, int64_t stride, int tokens) {
    const int g = lane / 4, t = lane % 4;
#pragma unroll
    for (int r = 0; r < kRowTiles; ++r) {
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        float total = sum[r][h];
        total += __shfl_xor_sync(kAllLanes, total, 1);
        total += __shfl_xor_sync(kAllLanes, total, 2);
        const float inverse = total > 0 ? Divide(1.0f, total) : 0.0f;  // zeros without visible keys
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

}  // namespace cliptag::cuda
