// Convolutions of the CPU backend. Depthwise ones have a kernel of their own
// (kernels/cpu/convolution/depthwise.h). A 1x1 convolution is a product over rows of pixels
// (cpu_gemm.h). Larger windows use Winograd's transforms (winograd_convolution.h) or own panels
// (panel_convolution.h), if this CPU has kernels for them; else windows are unrolled into rows
// (im2col), some at a time, for oneDNN's products.
//
// With precision=int8, convolutions stay in bf16 or f32. Bytes, quantized per pixel, saved 12 % of
// RN50's time in its 1x1 convolutions, and cost most of the accuracy where there are few channels.
//
// Ownership: borrows products and pool. Thread safety: used by one thread at a time.
#pragma once

#include <memory>

#include "kernels/cpu/convolution/depthwise.h"
#include "kernels/cpu/convolution/panel_convolution.h"
#include "kernels/cpu/convolution/winograd_convolution.h"
#include "kernels/cpu/machine/cpu_features.h"
#include "kernels/cpu/machine/thread_pool.h"
#include "kernels/cpu/products/cpu_gemm.h"
#include "kernels/cpu/simd/simd.h"

namespace cliptag {

class CpuConvolutions {
 public:
  CpuConvolutions(CpuLevel level, DType compute_type, const SimdKernels& kernels, CpuGemm* gemm,
                  ThreadPool* pool);

  // The caller checks spec and arguments.
  Result<std::unique_ptr<Convolution>> Pack(const ConvolutionSpec& spec);
  Status Run(const FeatureMap& x, const Convolution& convolution, const FeatureMap* residual,
             bool relu, const FeatureMap& out);
  void AveragePool(const FeatureMap& x, int window, const FeatureMap& out);

 private:
  class Packed;

  Status RunUnrolled(const FeatureMap& x, const Packed& packed, const ProductFinish& finish,
                     const FeatureMap& out);
  // The windows of the output pixels from `first` on, one per row.
  void Unroll(const FeatureMap& x, const Packed& packed, const FeatureMap& out, int64_t first,
              const Matrix& rows);

  const DType compute_type_;
  const SimdKernels& kernels_;
  CpuGemm* const gemm_;
  ThreadPool* const pool_;
  DepthwiseConvolution depthwise_;
  std::unique_ptr<PanelConvolution> panels_;       // null if this CPU has no kernel
  std::unique_ptr<WinogradConvolution> winograd_;  // likewise
  std::unique_ptr<Memory> unrolled_;
};

}  // namespace cliptag
