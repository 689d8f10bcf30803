#include "kernels/cuda/attention_operation.cuh"

namespace cliptag::cuda {

Status RunAttentionHalf(cudaStream_t stream, const AttentionProblem& problem) {
  return RunAttentionOf<Half>(stream, problem);
}

}  // namespace cliptag::cuda
