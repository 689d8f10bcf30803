#include "kernels/cpu/products/weight_rows.h"

#include <cstring>

#include "kernels/host_memory.h"

namespace cliptag {

void ReadWeightRow(const LinearSpec& spec, int64_t in, int64_t output, const SimdKernels& kernels,
                   float* to) {
  const HostTensor* weight = spec.weights.data();
  int64_t rows = weight->elements() / in;
  for (; output >= rows; rows = weight->elements() / in) {
    output -= rows;
    ++weight;
  }
  if (spec.transposed) {
    for (int64_t i = 0; i < in; ++i) {
      to[i] = LoadAsFloat(weight->data, weight->type, i * rows + output);
    }
    return;
  }
  const char* row = static_cast<const char*>(weight->data) + output * in * SizeOf(weight->type);
  if (weight->type == DType::kF32) {
    std::memcpy(to, row, in * sizeof(float));
  } else if (weight->type == DType::kBF16) {
    kernels.from_bf16(reinterpret_cast<const uint16_t*>(row), in, to);
  } else {
    kernels.from_f16(reinterpret_cast<const uint16_t*>(row), in, to);
  }
}

}  // namespace cliptag
