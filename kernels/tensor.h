// Tensors: element types, activations, a tensor in host memory, and a matrix in a backend's memory.
//
// Ownership: both borrow their data. Thread safety: plain data.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace cliptag {

enum class DType : uint8_t { kF32, kF16, kBF16, kI32 };
constexpr size_t SizeOf(DType t) { return t == DType::kF16 || t == DType::kBF16 ? 2 : 4; }

enum class Activation : uint8_t {
  kNone,
  kGelu,       // x * (1 + erf(x / sqrt 2)) / 2
  kQuickGelu,  // x * sigmoid(1.702 x)
  kTanhGelu,   // x * (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2
};

// A tensor in host memory, for example in a mapped file; may be unaligned.
struct HostTensor {
  const void* data = nullptr;
  DType type = DType::kF32;
  std::vector<int64_t> shape;

  int64_t elements() const {
    int64_t n = 1;
    for (int64_t d : shape) n *= d;
    return n;
  }
};

// A row-major matrix in the backend's memory, host or device. `stride`: elements from row to row.
struct Matrix {
  void* data = nullptr;
  DType type = DType::kF32;
  int64_t rows = 0, cols = 0, stride = 0;

  Matrix Rows(int64_t first, int64_t count) const {
    return {static_cast<char*>(data) + first * stride * SizeOf(type), type, count, cols, stride};
  }
  Matrix Cols(int64_t first, int64_t count) const {
    return {static_cast<char*>(data) + first * SizeOf(type), type, rows, count, stride};
  }
};

}  // namespace cliptag
