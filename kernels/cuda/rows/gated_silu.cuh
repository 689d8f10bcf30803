// out = silu(gate) * value, in the middle of a gated MLP; gates and values are the two halves of
// one product's columns.
//
//   a block per row, 256 threads, eight columns of each half per thread and iteration; out may be
//   the gates
//
// Cost, EVA02-L/14 at batch 64 (16,448 rows of 2,736 twice, fp16): reads 180 MB, writes 90 MB: 63
// us at 4.3 TB/s, the bound; some 12 instructions an element. Rejected: EVA02's following norm in
// the same kernel, which would save 180 MB but need a kernel for each width, as the norm has.
#pragma once

#include "kernels/cuda/device/columns.cuh"
#include "kernels/cuda/device/launch.h"

namespace cliptag::cuda {

inline constexpr int kGatedSiluThreads = 256;

template <typename T>
struct GatedSiluParams {
  const T* x = nullptr;                  // (rows, 2 cols): gates, then values
  T* out = nullptr;                      // (rows, cols); may be x
  int64_t x_stride = 0, out_stride = 0;  // elements
  int rows = 0, cols = 0;
};

template <typename T, int kColumns>
__global__ void __launch_bounds__(kGatedSiluThreads) GatedSiluKernel(GatedSiluParams<T> p) {
  const int64_t row = blockIdx.x;
  const T* x = p.x + row * p.x_stride;
  for (int col = static_cast<int>(threadIdx.x) * kColumns; col < p.cols;
       col += kGatedSiluThreads * kColumns) {
    float gate[kColumns], value[kColumns];
    LoadColumns(x + col, gate);
    LoadColumns(x + p.cols + col, value);
#pragma unroll
    for (int i = 0; i < kColumns; ++i) {
      constexpr float kLog2e = 1.4426950408889634f;
      value[i] *= Divide(gate[i], 1.0f + Exp2(-kLog2e * gate[i]));
    }
    StoreColumns(p.out + row * p.out_stride + col, value);
  }
}

template <typename T, typename Launch>
void LaunchGatedSilu(const GatedSiluParams<T>& p, Launch&& launch) {
  const LaunchShape shape{static_cast<unsigned>(p.rows), 1, 1, kGatedSiluThreads, 0};
  if (IsWide(p.x, p.x_stride, p.cols) && IsWide(p.out, p.out_stride, p.cols)) {
    launch(GatedSiluKernel<T, 8>, shape, p);
  } else {
    launch(GatedSiluKernel<T, 1>, shape, p);
  }
}

}  // namespace cliptag::cuda
