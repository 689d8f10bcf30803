// Rotary position embedding (RoPE), in place on the Q and K columns of the packed product: pairs of
// neighbouring columns are rotated, as complex numbers, by the cosine and sine of their token and
// column in a table.
//
//   a block per row, 128 threads, eight columns (four pairs) per thread and iteration, or one pair
//   if width, stride or address do not allow that
//
// Cost, EVA02-L/14 at batch 64 (16,448 rows of 2,048, fp16): reads and writes 67 MB each: 31 us at
// 4.3 TB/s, the bound; the table (66 KB) stays in L1 and L2. Rejected: rotating Q and K when
// attention loads them: it moves no bytes of its own, but every block of queries would rotate all
// keys again, with registers that its tiles need.
#pragma once

#include "kernels/cuda/device/columns.cuh"
#include "kernels/cuda/device/launch.h"

namespace cliptag::cuda {

inline constexpr int kRopeThreads = 128;

template <typename T>
struct RopeParams {
  T* x = nullptr;                           // (rows, cols), cols = heads * head_dim
  const float* angles = nullptr;            // (tokens, head_dim): cos, sin of each pair
  int64_t x_stride = 0, angles_stride = 0;  // elements
  int rows = 0, cols = 0, tokens = 0, head_dim = 0;
};

// kPairs: 4, or 1 for odd widths.
template <typename T, int kPairs>
__global__ void __launch_bounds__(kRopeThreads) RopeKernel(RopeParams<T> p) {
  constexpr int kColumns = 2 * kPairs;
  const int row = static_cast<int>(blockIdx.x);
  T* x = p.x + row * p.x_stride;
  const float* angles = p.angles + row % p.tokens * p.angles_stride;
  for (int col = static_cast<int>(threadIdx.x) * kColumns; col < p.cols;
       col += kRopeThreads * kColumns) {
    float v[kColumns], t[kColumns];
    LoadColumns(x + col, v);
    LoadColumns(angles + col % p.head_dim, t);
#pragma unroll
    for (int i = 0; i < kColumns; i += 2) {
      const float a = v[i], b = v[i + 1];
      v[i] = a * t[i] - b * t[i + 1];
      v[i + 1] = b * t[i] + a * t[i + 1];
    }
    StoreColumns(x + col, v);
  }
}

template <typename T, typename Launch>
void LaunchRope(const RopeParams<T>& p, Launch&& launch) {
  const LaunchShape shape{static_cast<unsigned>(p.rows), 1, 1, kRopeThreads, 0};
  if (IsWide(p.x, p.x_stride, p.cols) && IsWide(p.angles, p.angles_stride, p.head_dim)) {
    launch(RopeKernel<T, 4>, shape, p);
  } else {
    launch(RopeKernel<T, 1>, shape, p);
  }
}

}  // namespace cliptag::cuda
