// Attention as a launch on a stream. Thread safety: a pure function; the device must be current.
#pragma once

#include <cuda_runtime_api.h>

#include "kernels/backend.h"

namespace cliptag::cuda {

// Error: a head size or a scale without a kernel.
Status RunAttention(cudaStream_t stream, const AttentionArgs& args);

}  // namespace cliptag::cuda
