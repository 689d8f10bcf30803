// Argument checks of the operations in kernels/backend.h, shared by all backends, so that a mistake
// gets the same message from each. They check shapes, types and pointers, never data.
//
// Thread safety: pure functions.
#pragma once

#include "kernels/backend.h"

namespace cliptag {

// Outputs and inputs of the stacked weights of a LinearSpec.
struct LinearShape {
  int64_t out = 0, in = 0;
};
Result<LinearShape> CheckLinear(const LinearSpec& spec);

Status CheckUpload(const HostTensor& tensor, DType type);
// The other checks of Preprocess are in kernels/shared/preprocess_check.h.
Status CheckPreprocessOut(const Matrix& out, DType compute_type);
Status CheckGemm(const Matrix& x, const Linear& linear, bool accumulate, DType compute_type,
                 const Matrix& out);
Status CheckLayerNorm(const Matrix& x, const float* gamma, DType compute_type, const Matrix& out);
Status CheckAttention(const AttentionArgs& args, DType compute_type);
Status CheckRope(const Matrix& x, const Matrix& angles, DType compute_type);
Status CheckGatedSilu(const Matrix& x, DType compute_type, const Matrix& out);
Status CheckAddLayerNorm(const Matrix& x, const float* gamma, DType compute_type,
                         const Matrix& residual, const Matrix& out);
Status CheckAssembleTokens(const Matrix& patches, const float* class_token, const Matrix& position,
                           int batch, DType compute_type, const Matrix& out);
Status CheckEmbedTokens(const int32_t* ids, const Matrix& table, const Matrix& position, int tokens,
                        const Matrix& out);
Status CheckGatherRows(const Matrix& x, const int32_t* indices, const Matrix& out);
Status CheckAverageTokens(const Matrix& x, int skip, const Matrix& out);
Status CheckNormalizeRows(const Matrix& x);
Status CheckSimilarity(const Matrix& embeddings, const Matrix& bank, const Matrix& cosines);
Status CheckConvolutionSpec(const ConvolutionSpec& spec);
Status CheckConvolve(const FeatureMap& x, const Convolution& convolution,
                     const FeatureMap* residual, bool relu, DType compute_type,
                     const FeatureMap& out);
Status CheckAveragePool(const FeatureMap& x, int window, DType compute_type, const FeatureMap& out);
Status CheckSqueezeExcite(const FeatureMap& x, const Matrix& gates, DType compute_type,
                          const FeatureMap& out);
Status CheckCopyToHost(const Matrix& x, const float* host);
Status CheckCopyFromHost(const void* host, size_t bytes, const void* device);

}  // namespace cliptag
