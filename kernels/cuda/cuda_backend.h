// The CUDA backend: own kernels, cuBLASLt for the products, one stream, one workspace of the
// library. A sequence of operations that repeats is recorded as a CUDA graph. Precisions: fp16
// (auto) and bf16.
//
// Ownership and thread safety: as kernels/backend.h says; any thread, one at a time.
#pragma once

#include "kernels/backend.h"

namespace cliptag::cuda {

// Errors: no device, one too old, a driver older than the toolkit, a precision that is not offered.
Result<std::unique_ptr<Backend>> CreateDeviceBackend(const BackendOptions& options);

}  // namespace cliptag::cuda
