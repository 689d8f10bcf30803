// out (batch, cols) = the mean of each item's tokens (f32) without the first `skip`: the pooling of
// models that average before their last norm (CLIPA).
//
//   grid (column tiles, batch), 256 threads: 32 columns by 8 groups of tokens, reduced in shared
//   memory
//
// Cost, ViT-L/14 at batch 64 (16,448 rows of 1,024): reads 67 MB: 16 us at 4.3 TB/s, the bound.
// Neighbouring threads read neighbouring columns.
#pragma once

#include "kernels/cuda/device/columns.cuh"
#include "kernels/cuda/device/launch.h"

namespace cliptag::cuda {

inline constexpr int kAverageColumns = 32, kAverageGroups = 8;

struct AverageTokensParams {
  const float* x = nullptr;              // (batch * tokens, cols)
  float* out = nullptr;                  // (batch, cols)
  int64_t x_stride = 0, out_stride = 0;  // elements
  int batch = 0, tokens = 0, skip = 0, cols = 0;
};

template <int kGroups>
__global__ void __launch_bounds__(kGroups* kAverageColumns)
    AverageTokensKernel(AverageTokensParams p) {
  float* sums = StaticShared<float, kGroups * kAverageColumns>();  // (groups, columns)
  const int thread = static_cast<int>(threadIdx.x), group = thread / kAverageColumns;
  const int col = static_cast<int>(blockIdx.x) * kAverageColumns + thread % kAverageColumns;
  const float* x = p.x + static_cast<int64_t>(blockIdx.y) * p.tokens * p.x_stride + col;
  float sum = 0;
  if (col < p.cols) {
    for (int t = p.skip + group; t < p.tokens; t += kGroups) sum += x[t * p.x_stride];
  }
  sums[thread] = sum;
  __syncthreads();
  if (group != 0 || col >= p.cols) return;
#pragma unroll
  for (int g = 1; g < kGroups; ++g) sum += sums[g * kAverageColumns + thread];
  p.out[blockIdx.y * p.out_stride + col] = sum / static_cast<float>(p.tokens - p.skip);
}

// batch up to 65,535.
template <typename Launch>
void LaunchAverageTokens(const AverageTokensParams& p, Launch&& launch) {
  const auto tiles = static_cast<unsigned>((p.cols + kAverageColumns - 1) / kAverageColumns);
  launch(AverageTokensKernel<kAverageGroups>,
         LaunchShape{tiles, static_cast<unsigned>(p.batch), 1, kAverageColumns * kAverageGroups, 0},
         p);
}

}  // namespace cliptag::cuda
