// Ordinary memory as a backend hands it out (64-byte aligned, freed by itself), and tensors from
// files converted into it. Shared by the backends that run on the host.
//
// Thread safety: pure functions; a Memory may be read from any thread.
#pragma once

#include <cstdint>
#include <memory>

#include "kernels/backend.h"

namespace cliptag {

// Uninitialised. Fails with ResourceExhausted, naming the size.
Result<std::unique_ptr<Memory>> AllocateHost(size_t bytes);
// `memory` holds at least that much afterwards; what it held is lost where it was too small.
Status GrowHost(std::unique_ptr<Memory>* memory, size_t bytes);

// Element `index` of possibly unaligned data of any type, as a float.
float LoadAsFloat(const void* data, DType type, int64_t index);

// A copy of the tensor in host memory, converted to `type`, contiguous.
Result<std::unique_ptr<Memory>> UploadToHost(const HostTensor& tensor, DType type);

// `x` as contiguous floats.
void CopyMatrixToFloat(const Matrix& x, float* host);

}  // namespace cliptag
