#include "tests/cuda/standin/product.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/base/half.h"

namespace cliptag::standin {
namespace {

typedef float Vector __attribute__((vector_size(32), aligned(4)));
constexpr int kLanes = 8;
constexpr int64_t kDepthBlock = 512;  // a panel of the right matrix then fits the first cache

// out (kRows, kVectors * 8) += left (kRows, depth) * panel (depth, kVectors * 8).
template <int kRows, int kVectors>
__attribute__((always_inline)) inline void Tile(const float* left, int64_t left_stride,
                                                const float* panel, int64_t depth, float* out,
                                                int64_t out_stride) {
  Vector sums[kRows][kVectors] = {};
  for (int64_t k = 0; k < depth; ++k) {
    const float* row = panel + k * kVectors * kLanes;
    for (int v = 0; v < kVectors; ++v) {
      const Vector right = *reinterpret_cast<const Vector*>(row + v * kLanes);
      for (int r = 0; r < kRows; ++r) sums[r][v] += left[r * left_stride + k] * right;
    }
  }
  for (int r = 0; r < kRows; ++r) {
    for (int v = 0; v < kVectors; ++v) {
      *reinterpret_cast<Vector*>(out + r * out_stride + v * kLanes) += sums[r][v];
    }
  }
}

template <int kRows, int kVectors>
__attribute__((always_inline)) inline void Rows(const float* left, int64_t rows,
                                                int64_t left_stride, const float* panel,
                                                int64_t depth, float* out, int64_t out_stride) {
  int64_t r = 0;
  for (; r + kRows <= rows; r += kRows) {
    Tile<kRows, kVectors>(left + r * left_stride, left_stride, panel, depth, out + r * out_stride,
                          out_stride);
  }
  for (; r < rows; ++r) {
    Tile<1, kVectors>(left + r * left_stride, left_stride, panel, depth, out + r * out_stride,
                      out_stride);
  }
}

using PanelFunction = void (*)(const float*, int64_t, int64_t, const float*, int64_t, float*,
                               int64_t);

// Sixteen registers of four floats.
void PanelBaseline(const float* left, int64_t rows, int64_t left_stride, const float* panel,
                   int64_t depth, float* out, int64_t out_stride) {
  Rows<4, 1>(left, rows, left_stride, panel, depth, out, out_stride);
}

#if defined(__x86_64__)
// Sixteen registers of eight.
__attribute__((target("avx2,fma"))) void PanelAvx2(const float* left, int64_t rows,
                                                   int64_t left_stride, const float* panel,
                                                   int64_t depth, float* out, int64_t out_stride) {
  Rows<6, 2>(left, rows, left_stride, panel, depth, out, out_stride);
}
#endif

struct Machine {
  PanelFunction panel = PanelBaseline;
  int width = kLanes;
};

Machine ThisMachine() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    return {PanelAvx2, 2 * kLanes};
  }
#endif
  return {};
}

}  // namespace

size_t SizeOf(Number type) { return type == Number::kF32 ? 4 : 2; }

float Load(Number type, const void* data, int64_t index) {
  float value;
  LoadMany(type, data, index, 1, 1, &value);
  return value;
}

void Store(Number type, void* data, int64_t index, float value) {
  if (type == Number::kF32) {
    static_cast<float*>(data)[index] = value;
  } else {
    static_cast<uint16_t*>(data)[index] =
        type == Number::kF16 ? FloatToHalf(value) : FloatToBf16(value);
  }
}

void LoadMany(Number type, const void* data, int64_t start, int64_t stride, int64_t count,
              float* out) {
  if (type == Number::kF32) {
    const auto* from = static_cast<const float*>(data) + start;
    for (int64_t i = 0; i < count; ++i) out[i] = from[i * stride];
    return;
  }
  const auto* from = static_cast<const uint16_t*>(data) + start;
  if (type == Number::kF16) {
    for (int64_t i = 0; i < count; ++i) out[i] = HalfToFloat(from[i * stride]);
  } else {
    for (int64_t i = 0; i < count; ++i) out[i] = Bf16ToFloat(from[i * stride]);
  }
}

std::vector<float> Multiply(const View& left, const View& right) {
  static const Machine machine = ThisMachine();
  const int64_t rows = left.rows, depth = left.cols, cols = right.cols, width = machine.width;
  const int64_t padded = (cols + width - 1) / width * width;
  std::vector<float> a(static_cast<size_t>(rows * depth));
  for (int64_t r = 0; r < rows; ++r) {
    LoadMany(left.type, left.data, r * left.row_stride, left.col_stride, depth,
             a.data() + r * depth);
  }
  std::vector<float> out(static_cast<size_t>(rows * padded));
  std::vector<float> panel(static_cast<size_t>(kDepthBlock * width)), lane(kDepthBlock);
  for (int64_t k = 0; k < depth; k += kDepthBlock) {
    const int64_t block = std::min(kDepthBlock, depth - k);
    for (int64_t col = 0; col < cols; col += width) {
      std::fill(panel.begin(), panel.end(), 0.0f);
      for (int64_t j = 0; j < std::min(width, cols - col); ++j) {
        LoadMany(right.type, right.data, k * right.row_stride + (col + j) * right.col_stride,
                 right.row_stride, block, lane.data());
        for (int64_t i = 0; i < block; ++i) panel[i * width + j] = lane[i];
      }
      machine.panel(a.data() + k, rows, depth, panel.data(), block, out.data() + col, padded);
    }
  }
  if (padded != cols) {
    for (int64_t r = 0; r < rows; ++r) {
      std::memmove(out.data() + r * cols, out.data() + r * padded, cols * sizeof(float));
    }
    out.resize(static_cast<size_t>(rows * cols));
  }
  return out;
}

float Activate(Activation activation, float x) {
  if (activation == Activation::kNone) return x;
  if (activation == Activation::kRelu) return x < 0 ? 0 : x;  // NaN stays
  constexpr float kRootOf2ByPi = 0.7978845608f;
  return 0.5f * x * (1 + std::tanh(kRootOf2ByPi * (x + 0.044715f * x * x * x)));
}

}  // namespace cliptag::standin
