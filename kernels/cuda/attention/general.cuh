// Attention for the cases that the tensor-core kernels do not support: head sizes that no published
// CLIP has (up to 256), addresses or strides that are not multiples of 16 bytes, a scale of 0. Slow
// and simple, so that such models run on a GPU at all.
//
//   grid (query groups, heads, batch), 128 threads: a warp per query, no shared memory
//
// Each lane computes the score of one of 32 keys (reading its whole row, through the L1); then the
// warp adds the 32 rows of V with their weights, each lane every 32nd column. Bound by these loads,
// not by arithmetic: about a tenth of the tensor-core kernels' speed. Rejected: sharing K and V
// between the queries of a block (the other kernel does that).
#pragma once

#include "kernels/cuda/attention/launch.cuh"
#include "kernels/cuda/attention/params.cuh"
#include "kernels/cuda/device/columns.cuh"

namespace cliptag::cuda {

inline constexpr int kGeneralThreads = 128;
inline constexpr int kGeneralMaxHeadDim = 256;

struct GeneralAttentionParams {
  AttentionParams attention;
  int head_dim = 0;
  bool causal = false;
};

template <typename T>
__global__ void __launch_bounds__(kGeneralThreads)
    GeneralAttentionKernel(GeneralAttentionParams params) {
  const AttentionParams& p = params.attention;
  const int head_dim = params.head_dim;
  constexpr int kColumns = kGeneralMaxHeadDim / kWarpSize;  // of a lane, at most
  const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
  const int query = static_cast<int>(blockIdx.x) * (kGeneralThreads / kWarpSize) +
                    static_cast<int>(threadIdx.x) / kWarpSize;
  if (query >= p.q_tokens) return;  // a whole warp
  const int item = static_cast<int>(blockIdx.z);
  const int64_t column = static_cast<int64_t>(blockIdx.y) * head_dim;
  const int64_t row = int64_t{item} * p.q_tokens + query, keys = int64_t{item} * p.kv_tokens;
  const T* q = static_cast<const T*>(p.q) + row * p.q_stride + column;
  const T* k = static_cast<const T*>(p.k) + keys * p.k_stride + column;
  const T* v = static_cast<const T*>(p.v) + keys * p.v_stride + column;
  int visible = VisibleKeys(p, item);
  if (params.causal && visible > query + 1) visible = query + 1;

  float out[kColumns] = {}, largest = NegativeInfinity(), sum = 0;
  for (int first = 0; first < visible; first += kWarpSize) {
    const int key = first + lane;
    float score = NegativeInfinity();
    if (key < visible) {
      score = 0;
      for (int d = 0; d < head_dim; ++d) score += ToFloat(q[d]) * ToFloat(k[key * p.k_stride + d]);
      score *= p.scale_log2;
    }
    const float m = fmaxf(largest, WarpMax(score));  // finite: there is at least one key
    const float shrink = Exp2(largest - m), weight = Exp2(score - m);
    largest = m;
    sum = sum * shrink + WarpSum(weight);
#pragma unroll
    for (int c = 0; c < kColumns; ++c) out[c] *= shrink;
    const int count = visible - first < kWarpSize ? visible - first : kWarpSize;
    for (int j = 0; j < count; ++j) {
      const float w = __shfl_sync(kAllLanes, weight, j);
      const T* from = v + (first + j) * p.v_stride;
#pragma unroll
      for (int c = 0; c < kColumns; ++c) {
        const int d = c * kWarpSize + lane;
        if (d < head_dim) out[c] += w * ToFloat(from[d]);
      }
    }
  }
  T* to = static_cast<T*>(p.out) + row * p.out_stride + column;
#pragma unroll
  for (int c = 0; c < kColumns; ++c) {
    const int d = c * kWarpSize + lane;
    if (d < head_dim) to[d] = FromFloat<T>(sum > 0 ? out[c] / sum : 0.0f);
  }
}

// Calls `launch` with kernel, shape and params. Returns false, without a launch, for head sizes
// above 256 and for scales that are negative or not finite.
template <typename T, typename Launch>
bool LaunchGeneralAttention(const AttentionProblem& problem, Launch&& launch) {
  const AttentionParams& p = problem.params;
  if (problem.head_dim < 1 || problem.head_dim > kGeneralMaxHeadDim || problem.batch < 1 ||
      problem.batch > kMaxGridYZ || problem.heads < 1 || problem.heads > kMaxGridYZ ||
      p.q_tokens < 1 || p.kv_tokens < 1 || !(p.scale_log2 >= 0) || !std::isfinite(p.scale_log2)) {
    return false;
  }
  constexpr int kQueries = kGeneralThreads / kWarpSize;  // of a block
  launch(GeneralAttentionKernel<T>,
         LaunchShape{static_cast<unsigned>((p.q_tokens + kQueries - 1) / kQueries),
                     static_cast<unsigned>(problem.heads), static_cast<unsigned>(problem.batch),
                     kGeneralThreads, 0},
         GeneralAttentionParams{p, problem.head_dim, problem.causal});
  return true;
}

}  // namespace cliptag::cuda
