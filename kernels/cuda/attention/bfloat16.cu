#include "kernels/cuda/attention/operation.cuh"

namespace cliptag::cuda {

Status RunAttentionBFloat16(cudaStream_t stream, const AttentionProblem& problem) {
  return RunAttentionOf<BFloat16>(stream, problem);
}

// In this file, so that it is compiled once.
Status RunAttention(cudaStream_t stream, const AttentionArgs& args) {
  constexpr float kLog2E = 1.4426950408889634f;
  AttentionProblem problem;
  AttentionParams& p = problem.params;
  p.q = args.q.data;
  p.k = args.k.data;
  p.v = args.v.data;
  p.out = args.out.data;
  p.q_stride = args.q.stride;
  p.k_stride = args.k.stride;
  p.v_stride = args.v.stride;
  p.out_stride = args.out.stride;
  p.q_tokens = args.q_tokens;
  p.kv_tokens = args.kv_tokens;
  p.scale_log2 = args.scale * kLog2E;
  p.kv_lengths = args.kv_lengths;
  problem.batch = args.batch;
  problem.heads = args.heads;
  problem.head_dim = args.head_dim;
  problem.causal = args.causal;
  int device = 0;
  CLIPTAG_RETURN_IF_CUDA_ERROR(cudaGetDevice(&device), "attention was started");
  CLIPTAG_RETURN_IF_CUDA_ERROR(
      cudaDeviceGetAttribute(&problem.multiprocessors, cudaDevAttrMultiProcessorCount, device),
      "attention was started");
  return args.q.type == DType::kF16 ? RunAttentionHalf(stream, problem)
                                    : RunAttentionBFloat16(stream, problem);
}

}  // namespace cliptag::cuda
