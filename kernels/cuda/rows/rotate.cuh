// Rotary positions, in place on the Q and K columns of the packed product: pairs of neighbouring
// columns turned as complex numbers by the cosine and sine that a table has for their token and
// place in a head.
//
//   a row a block, 128 threads, eight columns (four pairs) a thread and turn, or a pair where a
//   width, a stride or an address is odd
//
// Cost, EVA02-L/14 at batch 64 (16,448 rows of 2,048, fp16): reads and writes 67 MB each: 31 us at
// 4.3 TB/s, the bound; the table (66 KB) stays in the L1 and L2. Rejected: turning Q and K where
// attention loads them, which moves nothing more, but every block of queries would turn all keys
// again, in registers that its tiles need.
#pragma once

#include "kernels/cuda/device/columns.cuh"
#include "kernels/cuda/device/launch.h"

namespace cliptag::cuda {

inline constexpr int kRotateThreads = 128;

template <typename T>
struct RotateParams {
  T* x = nullptr;                         // (rows, cols), cols = heads * head_dim
  const float* turns = nullptr;           // (tokens, head_dim): cos, sin of each pair
  int64_t x_stride = 0, turn_stride = 0;  // elements
  int rows = 0, cols = 0, tokens = 0, head_dim = 0;
};

// kPairs: 4, or 1 for odd widths.
template <typename T, int kPairs>
__global__ void __launch_bounds__(kRotateThreads) RotateKernel(RotateParams<T> p) {
  constexpr int kColumns = 2 * kPairs;
  const int row = static_cast<int>(blockIdx.x);
  T* x = p.x + row * p.x_stride;
  const float* turns = p.turns + row % p.tokens * p.turn_stride;
  for (int col = static_cast<int>(threadIdx.x) * kColumns; col < p.cols;
       col += kRotateThreads * kColumns) {
    const float* turn = turns + col % p.head_dim;
    float v[kColumns], t[kColumns];
    LoadColumns(x + col, v);
    LoadColumns(turn, t);
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
void LaunchRotate(const RotateParams<T>& p, Launch&& launch) {
  const LaunchShape shape{static_cast<unsigned>(p.rows), 1, 1, kRotateThreads, 0};
  if (IsWide(p.x, p.x_stride, p.cols) && IsWide(p.turns, p.turn_stride, p.head_dim)) {
    launch(RotateKernel<T, 4>, shape, p);
  } else {
    launch(RotateKernel<T, 1>, shape, p);
  }
}

}  // namespace cliptag::cuda
