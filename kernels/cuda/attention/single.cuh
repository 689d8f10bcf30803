// Attention of one query per batch item: in the last layer of an image tower only the class token's
// output is used, in that of a text tower only the end-of-text token's.
//
//   grid (heads, batch), 128 threads
//
// A group of 4, 8 or 16 neighbouring lanes reads a key's row, 16 bytes each, and its value's row.
// Every group runs its own online softmax over every n-th key, four keys at a time to keep eight
// loads in flight. At the end the groups are merged: by shuffles in a warp, then over 2 KiB of
// shared memory. Head sizes that are not powers of two leave lanes idle (7 of 16 at 72), which
// costs nothing while memory is the bound.
//
// Cost, ViT-L/14 at batch 64 (257 keys, 16 heads of 64): reads K and V, 67 MB: 16 us at 4.3 TB/s;
// 67 MFLOP. The fused kernel would do tensor-core work for 16 rows, and would have one block per
// head, too. Rejected: splitting the keys of a head over blocks (pays for long sequences at batch
// 1, where the whole kernel takes a few microseconds either way).
#pragma once

#include "kernels/cuda/attention/params.cuh"
#include "kernels/cuda/attention/tile.h"
#include "kernels/cuda/device/columns.cuh"

namespace cliptag::cuda {

inline constexpr int kSingleQueryThreads = 128;

template <typename T, int kHeadDim>
struct SingleQuery {
  static constexpr int kChunks = kHeadDim / 8;
  static constexpr int kLanes = kChunks <= 4 ? 4 : (kChunks <= 8 ? 8 : 16);  // of a group
  static constexpr int kGroups = kSingleQueryThreads / kLanes;
  static constexpr int kWarps = kSingleQueryThreads / kWarpSize;
  static constexpr int kUnroll = 4;
  static_assert(IsAttentionHeadDim(kHeadDim) && kHeadDim <= kSingleQueryThreads);

  float out[8];  // of this lane's chunk; unnormalised
  float largest = NegativeInfinity();
  float sum = 0;

  // Adds keys with these scores (log2 scaled; minus infinity: no key) and rows of V.
  __device__ __forceinline__ void Add(const float (&score)[kUnroll], const uint4 (&v)[kUnroll]) {
    float m = largest;
#pragma unroll
    for (int u = 0; u < kUnroll; ++u) m = fmaxf(m, score[u]);
    Rescale(m);
#pragma unroll
    for (int u = 0; u < kUnroll; ++u) {
      const float weight = Exp2(score[u] - (m == NegativeInfinity() ? 0.0f : m));
      float x[8];
      Unpack8<T>(v[u], x);
      sum += weight;
#pragma unroll
      for (int i = 0; i < 8; ++i) out[i] += weight * x[i];
    }
  }

  // To a maximum that is at least the present one.
  __device__ __forceinline__ void Rescale(float m) {
    const float shrink = Exp2(largest - (m == NegativeInfinity() ? 0.0f : m));
    largest = m;
    sum *= shrink;
#pragma unroll
    for (int i = 0; i < 8; ++i) out[i] *= shrink;
  }

  // Over the groups of a warp; all of them then hold the warp's result.
  __device__ __forceinline__ void MergeWarp() {
#pragma unroll
    for (int lanes = kLanes; lanes < kWarpSize; lanes *= 2) {
      Rescale(fmaxf(largest, __shfl_xor_sync(kAllLanes, largest, lanes)));
      sum += __shfl_xor_sync(kAllLanes, sum, lanes);
#pragma unroll
      for (int i = 0; i < 8; ++i) out[i] += __shfl_xor_sync(kAllLanes, out[i], lanes);
    }
  }

  // Over the warps, through shared memory; writes the kHeadDim outputs.
  __device__ __forceinline__ void MergeBlock(T* result) const {
    float* outs = StaticShared<float, kWarps * kHeadDim>();  // (kWarps, kHeadDim)
    float* stats = StaticShared<float, 2 * kWarps>();        // (kWarps, largest and sum)
    const int thread = static_cast<int>(threadIdx.x);
    const int warp = thread / kWarpSize, chunk = thread % kWarpSize;
    if (chunk < kChunks && chunk < kLanes) {
#pragma unroll
      for (int i = 0; i < 8; ++i) outs[warp * kHeadDim + chunk * 8 + i] = out[i];
      if (chunk == 0) {
        stats[2 * warp] = largest;
        stats[2 * warp + 1] = sum;
      }
    }
    __syncthreads();
    if (thread >= kHeadDim) return;
    float m = NegativeInfinity(), total = 0, x = 0;
#pragma unroll
    for (int i = 0; i < kWarps; ++i) m = fmaxf(m, stats[2 * i]);
#pragma unroll
    for (int i = 0; i < kWarps; ++i) {
      const float weight = Exp2(stats[2 * i] - (m == NegativeInfinity() ? 0.0f : m));
      total += weight * stats[2 * i + 1];
      x += weight * outs[i * kHeadDim + thread];
    }
    result[thread] = FromFloat<T>(total > 0 ? x / total : 0.0f);
  }
};

// As AttentionKernel with q_tokens 1, never causal.
template <typename T, int kHeadDim>
__global__ void __launch_bounds__(kSingleQueryThreads)
    SingleQueryAttentionKernel(AttentionParams p) {
  using State = SingleQuery<T, kHeadDim>;
  constexpr int kUnroll = State::kUnroll;
  const int column = static_cast<int>(blockIdx.x) * kHeadDim, item = static_cast<int>(blockIdx.y);
  const int group = static_cast<int>(threadIdx.x) / State::kLanes;
  const int chunk = static_cast<int>(threadIdx.x) % State::kLanes;
  const bool has_chunk = chunk < State::kChunks;
  const int64_t kv_row = int64_t{item} * p.kv_tokens;
  const T* k = static_cast<const T*>(p.k) + kv_row * p.k_stride + column + chunk * 8;
  const T* v = static_cast<const T*>(p.v) + kv_row * p.v_stride + column + chunk * 8;
  const int visible = VisibleKeys(p, item);
  const uint4 zero = make_uint4(0, 0, 0, 0);

  float q[8];
  const T* q_row = static_cast<const T*>(p.q) + item * p.q_stride + column;
  Unpack8<T>(has_chunk ? Load16(q_row + chunk * 8) : zero, q);
  State state;
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    q[i] *= p.scale_log2;
    state.out[i] = 0;
  }

  // All lanes do the same number of iterations, since the shuffles need all of them.
  for (int first = 0; first < visible; first += State::kGroups * kUnroll) {
    uint4 k_words[kUnroll], v_words[kUnroll];
    float score[kUnroll];
#pragma unroll
    for (int u = 0; u < kUnroll; ++u) {
      const int key = first + u * State::kGroups + group;
      const bool load = has_chunk && key < visible;
      k_words[u] = load ? Load16(k + key * p.k_stride) : zero;
      v_words[u] = load ? Load16(v + key * p.v_stride) : zero;
    }
#pragma unroll
    for (int u = 0; u < kUnroll; ++u) {
      float x[8];
      Unpack8<T>(k_words[u], x);
      score[u] = 0;
#pragma unroll
      for (int i = 0; i < 8; ++i) score[u] += q[i] * x[i];
#pragma unroll
      for (int lanes = State::kLanes / 2; lanes > 0; lanes /= 2) {
        score[u] += __shfl_xor_sync(kAllLanes, score[u], lanes);
      }
      if (first + u * State::kGroups + group >= visible) score[u] = NegativeInfinity();
    }
    state.Add(score, v_words);
  }
  state.MergeWarp();
  state.MergeBlock(static_cast<T*>(p.out) + item * p.out_stride + column);
}

}  // namespace cliptag::cuda
