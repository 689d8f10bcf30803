// Layer norm of f32 rows, and of 16-bit rows: with the output on its own (within a block of an
// encoder) or added to the residual stream (after a part of one).
//
//   LayerNormKernel      a warp per row, four rows per thread block. The row stays in registers:
//                        memory is read once, and the variance is computed from differences to the
//                        mean. Widths up to 2,048, multiples of 8, aligned.
//   LayerNormWideKernel  a thread block per row, any width and alignment. Reads the row three
//   times,
//                        twice of them from L1 or L2.
//
// Cost, ViT-L/14 at batch 64 (16,448 rows of 1,024): reads 67 MB, writes 34 MB: 23 us at 4.3 TB/s,
// the bound. Rejected: a thread block per row for these widths (barriers, and with eight columns a
// thread most threads are idle); Welford's update (a division per element; two sums over registers
// are as exact).
#pragma once

#include "kernels/cuda/device/columns.cuh"
#include "kernels/cuda/device/launch.h"

namespace cliptag::cuda {

inline constexpr int kLayerNormThreads = 128;
inline constexpr int kLayerNormWideThreads = 256;
inline constexpr int kLayerNormEarlyRows = 2048;  // kEarly for up to so many rows

template <typename Out, typename In>
struct LayerNormParams {
  const In* x = nullptr;         // (rows, cols)
  const float* gamma = nullptr;  // (cols)
  const float* beta = nullptr;   // (cols) or null
  Out* out = nullptr;            // (rows, cols); may be x
  // (rows, cols) or null: residual += norm, and out = residual. Only for 16-bit x.
  float* residual = nullptr;
  int64_t x_stride = 0, out_stride = 0, residual_stride = 0;  // elements
  int rows = 0, cols = 0;
  float epsilon = 0;
};

// Gain and offset of some columns.
template <int kColumns>
struct Affine {
  float gamma[kColumns], beta[kColumns];
  template <typename Out, typename In>
  __device__ __forceinline__ void Load(const LayerNormParams<Out, In>& p, int col) {
    LoadColumns(p.gamma + col, gamma);
#pragma unroll
    for (int i = 0; i < kColumns; ++i) beta[i] = 0;
    if (p.beta != nullptr) LoadColumns(p.beta + col, beta);
  }
};

template <int kColumns, typename Out, typename In>
__device__ __forceinline__ void StoreNormalized(const LayerNormParams<Out, In>& p, int row, int col,
                                                float mean, float scale, const float (&x)[kColumns],
                                                const Affine<kColumns>& affine) {
  float y[kColumns];
#pragma unroll
  for (int i = 0; i < kColumns; ++i) {
    y[i] = (x[i] - mean) * scale * affine.gamma[i] + affine.beta[i];
  }
  if constexpr (!std::is_same_v<In, float>) {
    if (p.residual != nullptr) {
      float* residual = p.residual + row * p.residual_stride + col;
      float before[kColumns];
      LoadColumns(residual, before);
#pragma unroll
      for (int i = 0; i < kColumns; ++i) y[i] += before[i];
      StoreColumns(residual, y);
    }
  }
  StoreColumns(p.out + row * p.out_stride + col, y);
}

// kChunks: chunks of eight columns per lane; kChunks * 256 >= cols. kEarly: gamma and beta are
// loaded with the row, not when they are needed: with few rows nothing else hides that latency.
template <typename Out, typename In, int kChunks, bool kEarly>
__global__ void __launch_bounds__(kLayerNormThreads) LayerNormKernel(LayerNormParams<Out, In> p) {
  const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
  const int row = static_cast<int>(blockIdx.x) * (kLayerNormThreads / kWarpSize) +
                  static_cast<int>(threadIdx.x) / kWarpSize;
  if (row >= p.rows) return;  // a whole warp
  const In* x_row = p.x + static_cast<int64_t>(row) * p.x_stride;
  float x[kChunks][8];
  Affine<8> early[kEarly ? kChunks : 1];
  if constexpr (kEarly) {
#pragma unroll
    for (int c = 0; c < kChunks; ++c) {
      const int col = (c * kWarpSize + lane) * 8;
      if (col < p.cols) early[c].Load(p, col);
    }
  }
  float sum = 0;
#pragma unroll
  for (int c = 0; c < kChunks; ++c) {
    const int col = (c * kWarpSize + lane) * 8;
#pragma unroll
    for (int i = 0; i < 8; ++i) x[c][i] = 0;
    if (col < p.cols) LoadColumns(x_row + col, x[c]);
#pragma unroll
    for (int i = 0; i < 8; ++i) sum += x[c][i];
  }
  const float mean = WarpSum(sum) / static_cast<float>(p.cols);
  float squares = 0;
#pragma unroll
  for (int c = 0; c < kChunks; ++c) {
    if ((c * kWarpSize + lane) * 8 < p.cols) {
#pragma unroll
      for (int i = 0; i < 8; ++i) squares += (x[c][i] - mean) * (x[c][i] - mean);
    }
  }
  const float scale = ReciprocalRoot(WarpSum(squares) / static_cast<float>(p.cols) + p.epsilon);
#pragma unroll
  for (int c = 0; c < kChunks; ++c) {
    const int col = (c * kWarpSize + lane) * 8;
    if (col >= p.cols) continue;
    if constexpr (kEarly) {
      StoreNormalized<8>(p, row, col, mean, scale, x[c], early[c]);
    } else {
      Affine<8> affine;
      affine.Load(p, col);
      StoreNormalized<8>(p, row, col, mean, scale, x[c], affine);
    }
  }
}

template <typename Out, typename In>
__global__ void __launch_bounds__(kLayerNormWideThreads)
    LayerNormWideKernel(LayerNormParams<Out, In> p) {
  const int row = static_cast<int>(blockIdx.x), thread = static_cast<int>(threadIdx.x);
  const In* source = p.x + static_cast<int64_t>(row) * p.x_stride;
  float sum = 0;
  for (int col = thread; col < p.cols; col += kLayerNormWideThreads) sum += ToFloat(source[col]);
  const float mean = BlockSum<kLayerNormWideThreads, 0>(sum) / static_cast<float>(p.cols);
  float squares = 0;
  for (int col = thread; col < p.cols; col += kLayerNormWideThreads) {
    const float difference = ToFloat(source[col]) - mean;
    squares += difference * difference;
  }
  const float variance = BlockSum<kLayerNormWideThreads, 1>(squares) / static_cast<float>(p.cols);
  const float scale = ReciprocalRoot(variance + p.epsilon);
  for (int col = thread; col < p.cols; col += kLayerNormWideThreads) {
    const float x[1] = {ToFloat(source[col])};
    Affine<1> affine;
    affine.Load(p, col);
    StoreNormalized<1>(p, row, col, mean, scale, x, affine);
  }
}

// Any width of at least 1.
template <typename Out, typename In, typename Launch>
void LaunchLayerNorm(const LayerNormParams<Out, In>& p, Launch&& launch) {
  const bool wide = IsWide(p.x, p.x_stride, p.cols) && IsWide(p.out, p.out_stride, p.cols) &&
                    IsWide(p.gamma, 0, p.cols) && IsWide(p.beta, 0, p.cols) &&
                    IsWide(p.residual, p.residual_stride, p.cols);
  constexpr int kRows = kLayerNormThreads / kWarpSize;  // of a block
  const LaunchShape shape{static_cast<unsigned>((p.rows + kRows - 1) / kRows), 1, 1,
                          kLayerNormThreads, 0};
  const bool early = p.rows <= kLayerNormEarlyRows;
  if (wide && p.cols <= 768) {
    early ? launch(LayerNormKernel<Out, In, 3, true>, shape, p)
          : launch(LayerNormKernel<Out, In, 3, false>, shape, p);
  } else if (wide && p.cols <= 1024) {
    early ? launch(LayerNormKernel<Out, In, 4, true>, shape, p)
          : launch(LayerNormKernel<Out, In, 4, false>, shape, p);
  } else if (wide && p.cols <= 2048) {
    launch(LayerNormKernel<Out, In, 8, false>, shape, p);
  } else {
    launch(LayerNormWideKernel<Out, In>,
           LaunchShape{static_cast<unsigned>(p.rows), 1, 1, kLayerNormWideThreads, 0}, p);
  }
}

}  // namespace cliptag::cuda
