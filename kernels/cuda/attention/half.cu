#include "kernels/cuda/attention/operation.cuh"

namespace cliptag::cuda {

Status RunAttentionHalf(cudaStream_t stream, const AttentionProblem& problem) {
  return RunAttentionOf<Half>(stream, problem);
}

}  // namespace cliptag::cuda
