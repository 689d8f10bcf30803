// The choice of the attention kernel for a problem, and its launch shape.
//
// Thread safety: pure functions.
#pragma once

#include <cmath>
#include <utility>

#include "kernels/cuda/attention/attention.cuh"
#include "kernels/cuda/attention/single.cuh"
#include "kernels/cuda/device/launch.h"

namespace cliptag::cuda {

struct AttentionProblem {
  AttentionParams params;
  int batch = 0, heads = 0, head_dim = 0;
  bool causal = false;
  int multiprocessors = 132;  // of the GPU
};

// Whether there is a tensor-core kernel for it: head sizes 32, 64, 72 to 112 by 8, and 128;
// addresses that are multiples of 16 bytes and strides that are multiples of 8 elements, as in any
// packed product of such heads.
inline bool SupportsAttention(const AttentionProblem& problem) {
  const AttentionParams& p = problem.params;
  const auto aligned = [](const void* data, int64_t stride) {
    return reinterpret_cast<uintptr_t>(data) % 16 == 0 && stride % 8 == 0;
  };
  return IsAttentionHeadDim(problem.head_dim) && problem.batch >= 1 &&
         problem.batch <= kMaxGridYZ && problem.heads >= 1 && problem.heads <= kMaxGridYZ &&
         p.q_tokens >= 1 && p.kv_tokens >= 1 && (!problem.causal || p.q_tokens == p.kv_tokens) &&
         p.scale_log2 > 0 && std::isfinite(p.scale_log2) && aligned(p.q, p.q_stride) &&
         aligned(p.k, p.k_stride) && aligned(p.v, p.v_stride) && aligned(p.out, p.out_stride);
}

template <typename T, int kHeadDim, bool kCausal, int kRowTiles, typename Launch>
void LaunchAttentionTiles(const AttentionProblem& problem, Launch&& launch) {
  constexpr size_t kBytes = AttentionSharedBytes(kHeadDim, kRowTiles);
  static_assert(kBytes <= kMaxSharedBytes);
  const AttentionPlan plan = PlanAttention(problem.params.q_tokens, kRowTiles);
  launch(AttentionKernel<T, kHeadDim, kCausal, kRowTiles>,
         LaunchShape{static_cast<unsigned>(plan.blocks), static_cast<unsigned>(problem.heads),
                     static_cast<unsigned>(problem.batch), plan.warps * kWarpSize, kBytes},
         problem.params);
}

template <typename T, int kHeadDim, typename Launch>
void LaunchAttentionOf(const AttentionProblem& problem, Launch&& launch) {
  const int q_tokens = problem.params.q_tokens;
  if (q_tokens == 1) {  // if causal, there is one key, too
    launch(SingleQueryAttentionKernel<T, kHeadDim>,
           LaunchShape{static_cast<unsigned>(problem.heads), static_cast<unsigned>(problem.batch),
                       1, kSingleQueryThreads, 0},
           problem.params);
    return;
  }
  if (problem.causal) return LaunchAttentionTiles<T, kHeadDim, true, 1>(problem, launch);
  if constexpr (HasTwoRowTiles(kHeadDim)) {
    if (RowTilesFor(kHeadDim, q_tokens, problem.heads, problem.batch, problem.multiprocessors) ==
        2) {
      return LaunchAttentionTiles<T, kHeadDim, false, 2>(problem, launch);
    }
  }
  LaunchAttentionTiles<T, kHeadDim, false, 1>(problem, launch);
}

template <typename T, int... kHeadDims, typename Launch>
bool LaunchAttentionAmong(std::integer_sequence<int, kHeadDims...>, const AttentionProblem& problem,
                          Launch&& launch) {
  const auto try_one = [&]<int kHeadDim>() {
    if (problem.head_dim != kHeadDim) return false;
    LaunchAttentionOf<T, kHeadDim>(problem, launch);
    return true;
  };
  return (try_one.template operator()<kHeadDims>() || ...);
}

// Calls `launch` with kernel, shape and params. Returns false, without a launch, if there is no
// kernel for the problem.
template <typename T, typename Launch>
bool LaunchAttention(const AttentionProblem& problem, Launch&& launch) {
  using HeadDims = std::integer_sequence<int, 32, 64, 72, 80, 88, 96, 104, 112, 128>;
  return SupportsAttention(problem) && LaunchAttentionAmong<T>(HeadDims(), problem, launch);
}

}  // namespace cliptag::cuda
