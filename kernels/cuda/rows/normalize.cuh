// Scales rows (f32) to unit length, in place; a zero row stays zero. A warp per row, four rows per
// block. Embeddings are a few hundred rows of at most 1,280: the launch dominates. Each row is
// divided by its largest value before squaring, so that the squares neither underflow nor overflow.
#pragma once

#include <cmath>

#include "kernels/cuda/device/columns.cuh"
#include "kernels/cuda/device/launch.h"

namespace cliptag::cuda {

inline constexpr int kNormalizeThreads = 128;

struct NormalizeParams {
  float* x = nullptr;  // (rows, cols)
  int64_t stride = 0;  // elements
  int rows = 0, cols = 0;
};

// kColumns: 8, or 1 for odd widths.
template <int kColumns>
__global__ void __launch_bounds__(kNormalizeThreads) NormalizeRowsKernel(NormalizeParams p) {
  const int first = static_cast<int>(threadIdx.x) % kWarpSize * kColumns;
  const int row = static_cast<int>(blockIdx.x) * (kNormalizeThreads / kWarpSize) +
                  static_cast<int>(threadIdx.x) / kWarpSize;
  if (row >= p.rows) return;  // a whole warp
  float* x = p.x + row * p.stride;
  float v[kColumns];
  float largest = 0;
  for (int col = first; col < p.cols; col += kWarpSize * kColumns) {
    LoadColumns(x + col, v);
#pragma unroll
    for (int i = 0; i < kColumns; ++i) largest = fmaxf(largest, fabsf(v[i]));
  }
  largest = WarpMax(largest);
  if (largest == 0) return;
  float squares = 0;
  for (int col = first; col < p.cols; col += kWarpSize * kColumns) {
    LoadColumns(x + col, v);
#pragma unroll
    for (int i = 0; i < kColumns; ++i) squares += v[i] / largest * (v[i] / largest);
  }
  const float length = sqrtf(WarpSum(squares));  // over `largest`; at least 1
  for (int col = first; col < p.cols; col += kWarpSize * kColumns) {
    LoadColumns(x + col, v);
#pragma unroll
    for (int i = 0; i < kColumns; ++i) v[i] = v[i] / largest / length;
    StoreColumns(x + col, v);
  }
}

template <typename Launch>
void LaunchNormalizeRows(const NormalizeParams& p, Launch&& launch) {
  constexpr int kRows = kNormalizeThreads / kWarpSize;  // of a block
  const LaunchShape shape{static_cast<unsigned>((p.rows + kRows - 1) / kRows), 1, 1,
                          kNormalizeThreads, 0};
  if (IsWide(p.x, p.stride, p.cols)) {
    launch(NormalizeRowsKernel<8>, shape, p);
  } else {
    launch(NormalizeRowsKernel<1>, shape, p);
  }
}

}  // namespace cliptag::cuda
