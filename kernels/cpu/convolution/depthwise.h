// Depthwise convolutions: every output sees one input channel, so that there is no product to make
// of them, and what counts is how often a pixel is loaded.
//
// A task is a block of 16 channels for some rows of a picture. The rows that a window looks at are
// kept as floats with zeros around them in a ring of the worker's, (width + zeros, 16) each, into
// which every row of the picture is brought once; kernels/cpu/simd/depthwise.inc multiplies them.
// At 64x64x80 with a 7x7 window that ring is 31 kB, about a first-level cache.
//
// Bytes and operations of that one in bf16: 0.66 MB read and as much written against 16 million
// products with a sum, 12 products a byte: on a Zen 4 core at 3.7 GHz (59 billion of them a second,
// about 15 GB/s) 0.27 ms of arithmetic against 0.09 of memory. Of the 3x3 windows, 3 million
// products, it is 0.05 against 0.09: bound by memory, where the map does not come from a cache.
// Measured on such a core, maps in the caches: 0.34 ms, four fifths of that arithmetic, and 0.13
// ms, of which half is bringing rows and the epilogue; on two threads 0.18 and 0.07. All depthwise
// convolutions of MobileCLIP-S2 together are some 5 ms of its 58.
// Rejected: reading bf16 where the picture lies (converted for each of the seven rows that look at
// it, and every edge a case of its own).
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
  // Arguments are checked by the caller. Grows scratch when a shape is new.
  Status Run(const FeatureMap& x, const Convolution& convolution, const PackedWeight& weight,
             const ProductFinish& finish, const FeatureMap& out);

 private:
  struct Job;
  class Weight;

  void RunTask(const Job& job, int64_t task, float* scratch) const;
  // A row of the picture, with zeros around it, `block` of its channels.
  void BringRow(const Job& job, int64_t picture, int64_t row, int64_t block, float* to) const;

  const DType compute_type_;
  const SimdKernels& kernels_;
  ThreadPool* const pool_;
  std::vector<std::unique_ptr<Memory>> scratch_;  // per worker
};

}  // namespace cliptag
