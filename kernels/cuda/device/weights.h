// Packing weights for either library: rounding to a 16-bit type, and the copy to the device.
//
// Thread safety: pure functions; the device must be current.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "kernels/base/half.h"
#include "kernels/cuda/device/runtime.h"

namespace cliptag::cuda {

// `value` as a word of `type`, kF16 or kBF16.
inline uint16_t RoundTo(DType type, float value) {
  return type == DType::kF16 ? FloatToHalf(value) : FloatToBf16(value);
}

inline std::vector<uint16_t> RoundAll(DType type, const std::vector<float>& values) {
  std::vector<uint16_t> rounded(values.size());
  for (size_t i = 0; i < values.size(); ++i) rounded[i] = RoundTo(type, values[i]);
  return rounded;
}

template <typename Value>
Result<std::unique_ptr<DeviceMemory>> ToDevice(const std::vector<Value>& values,
                                               cudaStream_t stream) {
  const size_t bytes = values.size() * sizeof(Value);
  CLIPTAG_ASSIGN_OR_RETURN(auto memory, DeviceMemory::Allocate(bytes));
  CLIPTAG_RETURN_IF_ERROR(CopyToDevice(memory->data(), values.data(), bytes, stream));
  return memory;
}

}  // namespace cliptag::cuda
