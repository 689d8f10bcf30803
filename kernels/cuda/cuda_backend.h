// The CUDA backend: own kernels, cuBLASLt for products, cuDNN for convolutions, one stream.
// Repeated sequences of operations run as CUDA graphs. Precisions: fp16 (auto) and bf16.
//
// Ownership and thread safety: as kernels/backend.h says; any thread, one at a time.
#pragma once

#include "kernels/backend.h"

namespace cliptag::cuda {

// Errors: no device, one too old, a driver older than the toolkit, an unsupported precision.
Result<std::unique_ptr<Backend>> CreateDeviceBackend(const BackendOptions& options);

}  // namespace cliptag::cuda
