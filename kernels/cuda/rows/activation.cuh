// out = activation(in + bias), since cuBLASLt has no such epilogue that is accurate enough: none
// for QuickGELU, and its GELU is the tanh approximation, while CLIP uses erf. (SigLIP uses the tanh
// approximation; this kernel has it, too.)
//
//   a block per row, 256 threads, eight columns per thread and iteration; out may be in
//
// Cost, ViT-L/14 at batch 64 (16,448 rows of 4,096, fp16): reads and writes 135 MB each: 63 us
// at 4.3 TB/s, the bound; some 12 instructions an element for QuickGELU, about 40 for erf, 67 M
// elements: 13 and 45 us of issue on 132 multiprocessors, overlapped. Rejected: a flat index over
// all elements (a division by the width for every chunk, only to find the bias).
#pragma once

#include "kernels/backend.h"
#include "kernels/cuda/device/columns.cuh"
#include "kernels/cuda/device/launch.h"

namespace cliptag::cuda {

inline constexpr int kActivationThreads = 256;

template <typename In, typename Out>
struct ActivationParams {
  const In* in = nullptr;                 // (rows, cols)
  const float* bias = nullptr;            // (cols) or null
  Out* out = nullptr;                     // (rows, cols); may be `in`
  int64_t in_stride = 0, out_stride = 0;  // elements
  int rows = 0, cols = 0;
};

template <Activation kActivation>
__device__ __forceinline__ float Activate(float x) {
  if constexpr (kActivation == Activation::kGelu) {
    constexpr float kRootHalf = 0.70710678118654752f;
    return 0.5f * x * (1.0f + ErrorFunction(x * kRootHalf));
  } else if constexpr (kActivation == Activation::kQuickGelu) {
    constexpr float kSlope = 1.702f * 1.4426950408889634f;  // times log2(e)
    return Divide(x, 1.0f + Exp2(-kSlope * x));
  } else if constexpr (kActivation == Activation::kTanhGelu) {
    // (1 + tanh u) / 2 = sigmoid(2 u); 2 u = (kSlope + kCubic x^2) x, times log2(e).
    constexpr float kSlope = 1.5957691216057308f * 1.4426950408889634f;
    constexpr float kCubic = kSlope * 0.044715f;
    return Divide(x, 1.0f + Exp2(-(kSlope + kCubic * x * x) * x));
  } else {
    return x;
  }
}

template <typename In, typename Out, Activation kActivation, int kColumns>
__global__ void __launch_bounds__(kActivationThreads)
    ActivationKernel(ActivationParams<In, Out> p) {
  const int64_t row = blockIdx.x;
  for (int col = static_cast<int>(threadIdx.x) * kColumns; col < p.cols;
       col += kActivationThreads * kColumns) {
    float x[kColumns], bias[kColumns] = {};
    LoadColumns(p.in + row * p.in_stride + col, x);
    if (p.bias != nullptr) LoadColumns(p.bias + col, bias);
#pragma unroll
    for (int i = 0; i < kColumns; ++i) x[i] = Activate<kActivation>(x[i] + bias[i]);
    StoreColumns(p.out + row * p.out_stride + col, x);
  }
}

template <Activation kActivation, typename In, typename Out, typename Launch>
void LaunchActivationOf(const ActivationParams<In, Out>& p, Launch&& launch) {
  const LaunchShape shape{static_cast<unsigned>(p.rows), 1, 1, kActivationThreads, 0};
  if (IsWide(p.in, p.in_stride, p.cols) && IsWide(p.out, p.out_stride, p.cols) &&
      IsWide(p.bias, 0, p.cols)) {
    launch(ActivationKernel<In, Out, kActivation, 8>, shape, p);
  } else {
    launch(ActivationKernel<In, Out, kActivation, 1>, shape, p);
  }
}

template <typename In, typename Out, typename Launch>
void LaunchActivation(Activation activation, const ActivationParams<In, Out>& p, Launch&& launch) {
  switch (activation) {
    case Activation::kNone:
      return LaunchActivationOf<Activation::kNone>(p, launch);
    case Activation::kGelu:
      return LaunchActivationOf<Activation::kGelu>(p, launch);
    case Activation::kQuickGelu:
      return LaunchActivationOf<Activation::kQuickGelu>(p, launch);
    case Activation::kTanhGelu:
      return LaunchActivationOf<Activation::kTanhGelu>(p, launch);
  }
}

}  // namespace cliptag::cuda
