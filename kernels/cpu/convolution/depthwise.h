// Depthwise convolutions. Each output depends on one input channel, so they are not matrix
// products, and their cost is how often a pixel is loaded.
//
// A task is a block of 16 channels for some rows of a picture. The rows of the window are kept as
// floats, with zeros around them, in a ring buffer of the worker, (width + zeros, 16) each; every
// row of the picture is loaded into it once, and kernels/cpu/simd/depthwise.inc multiplies them. At
// 64x64x80 with a 7x7 window the ring is 31 kB, about an L1 cache.
//
// Bytes and operations of that one in bf16: 0.66 MB read and as much written against 16 million
// multiply-adds, 12 per byte: on a Zen 4 core at 3.7 GHz (59 billion of them a second, about 15
// GB/s) 0.27 ms of arithmetic against 0.09 of memory. With a 3x3 window, 3 million multiply-adds,
// it is 0.05 against 0.09: bound by memory, unless the map comes from a cache. Measured on such a
// core, maps in the caches: 0.34 ms, four fifths of which that arithmetic, and 0.13 ms, half of
// which is loading rows and the epilogue; on two threads 0.18 and 0.07. All depthwise convolutions
// of MobileCLIP-S2 together are some 5 ms of its 58.
// Rejected: reading bf16 in place (each row converted once for each of the seven output rows that
// need it, and every edge a special case).
//
// Ownership: borrows the pool. Thread safety: used by one thread at a time.
#pragma once

#include <memory>
#include <vector>

#include "kernels/backend.h"
#include "kernels/cpu/machine/thread_pool.h"
#include "kernels/cpu/products/products.h"
#include "kernels/cpu/simd/simd.h"

namespace cliptag {

class DepthwiseConvolution {
 public:
  DepthwiseConvolution(DType compute_type, const SimdKernels& kernels, ThreadPool* pool);

  Result<std::unique_ptr<PackedWeight>> Pack(const ConvolutionSpec& spec) const;
  // The caller checks the arguments. Grows scratch when a shape is new.
  Status Run(const FeatureMap& x, const Convolution& convolution, const PackedWeight& weight,
             const ProductFinish& finish, const FeatureMap& out);

 private:
  struct Job;
  class Weight;

  void RunTask(const Job& job, int64_t task, float* scratch) const;
  // Loads `block` of the channels of a row of the picture, with zeros around it.
  void LoadRow(const Job& job, int64_t picture, int64_t row, int64_t block, float* to) const;

  const DType compute_type_;
  const SimdKernels& kernels_;
  ThreadPool* const pool_;
  std::vector<std::unique_ptr<Memory>> scratch_;  // per worker
};

}  // namespace cliptag
