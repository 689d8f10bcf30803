// Host memory as a Memory (64-byte aligned), and tensors from files converted into it. Shared by
// the backends.
//
// Thread safety: pure functions; a Memory may be read from any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "kernels/backend.h"

namespace cliptag {

// Uninitialised. Fails with ResourceExhausted, naming the size.
Result<std::unique_ptr<Memory>> AllocateHost(size_t bytes);
// Makes `memory` hold at least that much; its contents are lost if it was too small.
Status GrowHost(std::unique_ptr<Memory>* memory, size_t bytes);

// Element `index` of possibly unaligned data of any type, as a float.
float LoadAsFloat(const void* data, DType type, int64_t index);
// All elements; empty without data.
std::vector<float> ToFloats(const HostTensor& tensor);
// The biases of all weights, one after the other; empty without.
std::vector<float> BiasesOf(const LinearSpec& spec);
// A convolution's weight (out, in, kernel, kernel) as (out, kernel, kernel, in).
std::vector<float> ChannelsLast(const HostTensor& weight);

// A copy of the tensor in host memory, converted to `type`, contiguous.
Result<std::unique_ptr<Memory>> UploadToHost(const HostTensor& tensor, DType type);

// `x` as contiguous floats.
void CopyMatrixToFloat(const Matrix& x, float* host);

}  // namespace cliptag
