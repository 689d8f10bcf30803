#include "kernels/host_memory.h"

#include <cstring>
#include <new>

#include "kernels/base/concat.h"
#include "kernels/base/half.h"
#include "kernels/checks.h"

namespace cliptag {
namespace {

constexpr std::align_val_t kAlignment{64};
// A larger size is the result of an overflow or of a broken file.
constexpr size_t kLargest = size_t{1} << 40;

class HostMemory : public Memory {
 public:
  HostMemory(void* data, size_t bytes) : data_(data), bytes_(bytes) {}
  ~HostMemory() override { ::operator delete(data_, kAlignment); }
  HostMemory(const HostMemory&) = delete;
  HostMemory& operator=(const HostMemory&) = delete;

  void* data() const override { return data_; }
  size_t bytes() const override { return bytes_; }

 private:
  void* data_;
  size_t bytes_;
};

}  // namespace

Result<std::unique_ptr<Memory>> AllocateHost(size_t bytes) {
  void* data = bytes <= kLargest ? ::operator new(bytes, kAlignment, std::nothrow) : nullptr;
  if (!data) {
    return ResourceExhausted(
        Concat("Out of memory: ", bytes, " bytes are more than this machine or its limits give."));
  }
  return std::unique_ptr<Memory>(std::make_unique<HostMemory>(data, bytes));
}

Status GrowHost(std::unique_ptr<Memory>* memory, size_t bytes) {
  if (*memory && (*memory)->bytes() >= bytes) return {};
  CLIPTAG_ASSIGN_OR_RETURN(*memory, AllocateHost(bytes));
  return {};
}

float LoadAsFloat(const void* data, DType type, int64_t index) {
  const char* p = static_cast<const char*>(data) + index * static_cast<int64_t>(SizeOf(type));
  if (SizeOf(type) == 2) {
    uint16_t half;
    std::memcpy(&half, p, sizeof half);
    return type == DType::kBF16 ? Bf16ToFloat(half) : HalfToFloat(half);
  }
  if (type == DType::kI32) {
    int32_t integer;
    std::memcpy(&integer, p, sizeof integer);
    return static_cast<float>(integer);
  }
  float value;
  std::memcpy(&value, p, sizeof value);
  return value;
}

Result<std::unique_ptr<Memory>> UploadToHost(const HostTensor& tensor, DType type) {
  CLIPTAG_RETURN_IF_ERROR(CheckUpload(tensor, type));
  const int64_t n = tensor.elements();
  CLIPTAG_ASSIGN_OR_RETURN(auto memory, AllocateHost(static_cast<size_t>(n) * SizeOf(type)));
  if (tensor.type == type) {
    std::memcpy(memory->data(), tensor.data, memory->bytes());
    return memory;
  }
  float* floats = static_cast<float*>(memory->data());
  uint16_t* halves = static_cast<uint16_t*>(memory->data());
  for (int64_t i = 0; i < n; ++i) {
    const float value = LoadAsFloat(tensor.data, tensor.type, i);
    if (type == DType::kF32) {
      floats[i] = value;
    } else {
      halves[i] = type == DType::kBF16 ? FloatToBf16(value) : FloatToHalf(value);
    }
  }
  return memory;
}

std::vector<float> ToFloats(const HostTensor& tensor) {
  std::vector<float> values(tensor.data == nullptr ? 0 : tensor.elements());
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = LoadAsFloat(tensor.data, tensor.type, static_cast<int64_t>(i));
  }
  return values;
}

std::vector<float> BiasesOf(const LinearSpec& spec) {
  std::vector<float> biases;
  for (const HostTensor& bias : spec.biases) {
    const std::vector<float> values = ToFloats(bias);
    biases.insert(biases.end(), values.begin(), values.end());
  }
  return biases;
}

std::vector<float> ChannelsLast(const HostTensor& weight) {
  const int64_t out = weight.shape[0], in = weight.shape[1];
  const int64_t area = weight.shape[2] * weight.shape[3];
  std::vector<float> values;
  values.reserve(static_cast<size_t>(weight.elements()));
  for (int64_t o = 0; o < out; ++o) {
    for (int64_t at = 0; at < area; ++at) {
      for (int64_t i = 0; i < in; ++i) {
        values.push_back(LoadAsFloat(weight.data, weight.type, (o * in + i) * area + at));
      }
    }
  }
  return values;
}

void CopyMatrixToFloat(const Matrix& x, float* host) {
  for (int64_t r = 0; r < x.rows; ++r) {
    const Matrix row = x.Rows(r, 1);
    for (int64_t c = 0; c < x.cols; ++c) *host++ = LoadAsFloat(row.data, row.type, c);
  }
}

}  // namespace cliptag
