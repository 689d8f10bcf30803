// The backend's row-wise operations as launches on a stream. Kernels and their choice are in
// rows/*.cuh, instantiated in operations.cu; callers need no device compiler. The caller checks the
// arguments (kernels/checks.h); 16-bit matrices are all of one type.
//
// Thread safety: pure functions; the device must be current.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>

#include "kernels/backend.h"

namespace cliptag::cuda {

// In place: x = activation(x + bias); bias (cols) f32 or null.
Status RunActivation(cudaStream_t stream, Activation activation, const float* bias,
                     const Matrix& x);
Status RunLayerNorm(cudaStream_t stream, const Matrix& x, const float* gamma, const float* beta,
                    float epsilon, const Matrix& out);
Status RunAddLayerNorm(cudaStream_t stream, const Matrix& x, const float* gamma, const float* beta,
                       float epsilon, const Matrix& residual, const Matrix& out);
Status RunRope(cudaStream_t stream, const Matrix& x, const Matrix& angles);
Status RunGatedSilu(cudaStream_t stream, const Matrix& x, const Matrix& out);
Status RunAssembleTokens(cudaStream_t stream, const Matrix& patches, const float* class_token,
                         const Matrix& position, int batch, const Matrix& out);
Status RunEmbedTokens(cudaStream_t stream, const int32_t* ids, const Matrix& table,
                      const Matrix& position, int tokens, const Matrix& out);
Status RunGatherRows(cudaStream_t stream, const Matrix& x, const int32_t* indices,
                     const Matrix& out);
Status RunAverageTokens(cudaStream_t stream, const Matrix& x, int skip, const Matrix& out);
Status RunNormalizeRows(cudaStream_t stream, const Matrix& x);
Status RunSimilarity(cudaStream_t stream, const Matrix& embeddings, const Matrix& bank,
                     const Matrix& cosines);

}  // namespace cliptag::cuda
