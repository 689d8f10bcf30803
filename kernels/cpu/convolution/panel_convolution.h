// Convolutions with windows larger than a pixel by the micro-kernels of panel.h, without unrolling
// the picture (im2col). In a copy of it with zeros around it, channels last, the pixels of a
// window's row are neighbours. So a window is a row of `kernel` pieces (see PanelTask), and the
// pixels of an output row are rows of a product, `stride` pixels apart.
//
// A task is a share of the panels for a share of the picture's rows, copied to the worker's scratch
// in bands that stay in its L2 cache. Work with weights that fit there, too, is split only by rows;
// with larger ones first by panels.
//
// Bytes and flops of RN50's 3x3 at 56x56x64 in bf16: 231 Mflop against 0.4 MB read, copied and
// written each and 74 KB of weights; at 7x7x512 likewise 231 Mflop against 4.7 MB of weights. On
// two Zen 4 cores (460 Gflop/s, about 25 GB/s) 0.5 ms of arithmetic against 0.05 and 0.19 of
// memory: bound by arithmetic; the copy is at most a tenth of it. Rejected: unrolling the picture
// into rows of nine pixels (nine times the copy), zeros around every feature map (the number
// depends on the window of the next convolution).
//
// Ownership: borrows the pool. Thread safety: used by one thread at a time.
#pragma once

#include <memory>
#include <vector>

#include "kernels/cpu/machine/thread_pool.h"
#include "kernels/cpu/products/panel/panel.h"
#include "kernels/cpu/products/panel/weight.h"

namespace cliptag {

class PanelConvolution {
 public:
  // `compute_type` is the type of feature maps. With a kF32 kernel and bf16 maps, weights are
  // rounded to bf16, too.
  PanelConvolution(const PanelKernel& kernel, DType compute_type, const SimdKernels& kernels,
                   ThreadPool* pool);

  Result<std::unique_ptr<PackedWeight>> Pack(const ConvolutionSpec& spec) const;
  // The caller checks the arguments. Grows scratch when a shape is new.
  Status Run(const FeatureMap& x, const Convolution& convolution, const PackedWeight& weight,
             const ProductFinish& finish, const FeatureMap& out);

 private:
  struct Job;

  int64_t PieceBytes(int kernel, int channels) const;
  Status Plan(Job* job);
  void RunTask(const Job& job, int task, int worker);
  void CopyBand(const Job& job, int64_t first, int64_t count, char* to) const;
  void MultiplyBand(const Job& job, int64_t first, int64_t count, int64_t first_panel,
                    int64_t end_panel, const char* band) const;

  const PanelKernel& kernel_;
  const DType compute_type_;
  const SimdKernels& kernels_;
  ThreadPool* const pool_;
  std::vector<std::unique_ptr<Memory>> bands_;  // per worker
};

}  // namespace cliptag
