// The CPU backend: oneDNN for products, own SIMD kernels for the rest, own threads for both.
//
// Ownership and thread safety: as kernels/backend.h says.
#pragma once

#include <memory>

#include "kernels/backend.h"

namespace cliptag {

// Errors: a precision that the CPU backend does not offer, with the one to use instead.
Result<std::unique_ptr<Backend>> CreateCpuBackend(const BackendOptions& options);

}  // namespace cliptag
