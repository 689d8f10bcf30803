// The CPU backend: oneDNN for products, own SIMD kernels for the rest, own threads for both.
//
// Ownership and thread safety: as kernels/backend.h says.
#pragma once

#include <memory>

#include "kernels/backend.h"

namespace cliptag {

// Precision::kAuto is bf16 where the CPU multiplies it, else fp32; info().quicker is int8 where the
// CPU multiplies bytes. Errors: a precision that the CPU backend does not offer, with the one to
// use instead.
Result<std::unique_ptr<Backend>> CreateCpuBackend(const BackendOptions& options);

}  // namespace cliptag
