// Number types and the product of matrices that the stand-ins of cuBLASLt and cuDNN compute with.
//
// Threads: pure functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace cliptag::standin {

enum class Number { kF32, kF16, kBf16 };

size_t SizeOf(Number type);
float Load(Number type, const void* data, int64_t index);
// Rounded to nearest even.
void Store(Number type, void* data, int64_t index, float value);
// `count` numbers that lie `stride` elements apart.
void LoadMany(Number type, const void* data, int64_t start, int64_t stride, int64_t count,
              float* out);

// A matrix of numbers in memory: element (row, col) is at row * row_stride + col * col_stride.
struct View {
  Number type = Number::kF32;
  const void* data = nullptr;
  int64_t rows = 0, cols = 0;
  int64_t row_stride = 0, col_stride = 1;
};

// left (rows, depth) times right (depth, cols) as (rows, cols), contiguous. Sums in float.
std::vector<float> Multiply(const View& left, const View& right);

enum class Activation { kNone, kRelu, kGelu };
// GELU is the approximation by tanh, as cuBLASLt has it.
float Activate(Activation activation, float x);

}  // namespace cliptag::standin
