// Preprocessing as a launch on a stream. Thread safety: a pure function; the device must be
// current.
#pragma once

#include <cuda_runtime_api.h>

#include "kernels/backend.h"
#include "kernels/cuda/preprocess/plan.h"

namespace cliptag::cuda {

// The batch that `plan` describes; `table` is the plan's, in device memory.
Status RunPreprocess(cudaStream_t stream, const PreprocessPlan& plan, const void* table,
                     const Matrix& out);

}  // namespace cliptag::cuda
