// The CPU backend: own micro-kernels or oneDNN for products, own SIMD kernels for the rest, own
// threads for both.
//
// Ownership and thread safety: as kernels/backend.h says.
#pragma once

#include <memory>

#include "kernels/backend.h"

namespace cliptag {

// Precision::kAuto is bf16 if the CPU has instructions for it, else fp32; info().quicker is int8 if
// the CPU has those for bytes. Error: a precision that the CPU backend does not have; the message
// names the alternatives.
Result<std::unique_ptr<Backend>> CreateCpuBackend(const BackendOptions& options);

}  // namespace cliptag
