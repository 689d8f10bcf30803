// RunAttention for one 16-bit type. There are many instantiations, so each type has its own .cu
// file: they compile in parallel.
#pragma once

#include "kernels/base/concat.h"
#include "kernels/cuda/attention/general.cuh"
#include "kernels/cuda/attention/launch.cuh"
#include "kernels/cuda/attention/operation.h"
#include "kernels/cuda/device/runtime.h"
#include "kernels/cuda/device/stream_launch.cuh"

namespace cliptag::cuda {

Status RunAttentionHalf(cudaStream_t stream, const AttentionProblem& problem);
Status RunAttentionBFloat16(cudaStream_t stream, const AttentionProblem& problem);

template <typename T>
Status RunAttentionOf(cudaStream_t stream, const AttentionProblem& problem) {
  StreamLauncher launch(stream);
  if (!LaunchAttention<T>(problem, launch) && !LaunchGeneralAttention<T>(problem, launch)) {
    return Unsupported(Concat("The CUDA backend has no attention for a head size of ",
                              problem.head_dim, " and a scale of ", problem.params.scale_log2,
                              "; use backend=cpu."));
  }
  return FromCuda(launch.error(), "attention was started");
}

}  // namespace cliptag::cuda
