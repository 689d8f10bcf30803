#include "kernels/cpu/products/weight_rows.h"

#include <cstring>

#include "kernels/host_memory.h"

namespace cliptag {

void WeightRows::Read(int64_t output, float* to) const {
  const HostTensor* weight = spec_.weights.data();
  const int64_t in = shape_.in;
  int64_t rows = weight->elements() / in;
  for (; output >= rows; rows = weight->elements() / in) {
    output -= rows;
    ++weight;
  }
  if (spec_.transposed) {
    for (int64_t i = 0; i < in; ++i) {
      to[i] = LoadAsFloat(weight->data, weight->type, i * rows + output);
    }
    return;
  }
  const char* row = static_cast<const char*>(weight->data) + output * in * SizeOf(weight->type);
  if (weight->type == DType::kF32) {
    std::memcpy(to, row, in * sizeof(float));
  } else if (weight->type == DType::kBF16) {
    kernels_.from_bf16(reinterpret_cast<const uint16_t*>(row), in, to);
  } else {
    kernels_.from_f16(reinterpret_cast<const uint16_t*>(row), in, to);
  }
}

std::vector<float> WeightRows::Biases() const {
  std::vector<float> biases;
  for (const HostTensor& b : spec_.biases) {
    for (int64_t o = 0; o < b.elements(); ++o) biases.push_back(LoadAsFloat(b.data, b.type, o));
  }
  return biases;
}

}  // namespace cliptag
