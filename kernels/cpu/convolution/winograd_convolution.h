// 3x3 convolutions of stride 1 by Winograd's transforms (winograd.h) and the panels of panel.h.
//
// For a block of tiles: the input transform, the edge * edge products with the transformed weights,
// and the output transform, a group of panels at a time, so that all of it stays in the L2 cache.
// With large pictures tasks share the tiles, and each transforms its own. With large weights, or
// few tiles, all tiles are transformed first, and tasks share the panels, too.
//
// Bytes and flops of RN50's 3x3 at 56x56x64 in f32, 231 Mflop: at tile 4 58 Mflop of products, 0.6
// MB of weights, and through the caches 1.8 MB of rows and 0.9 MB of products, each written and
// read once; at 14x14x256 at tile 2 103 Mflop and 4.2 MB of weights, which come from memory at
// batch 1: on two Zen 4 cores (234 Gflop/s, about 29 GB/s) 0.44 ms of arithmetic against 0.15 of
// memory. Tile 4 needs 2.25 times the weights of tile 2, which with many channels costs what it
// saves.
//
// A pixel that is not finite makes its whole tile so.
//
// Ownership: borrows the pool. Thread safety: used by one thread at a time.
#pragma once

#include <memory>
#include <vector>

#include "kernels/cpu/convolution/winograd.h"
#include "kernels/cpu/machine/thread_pool.h"
#include "kernels/cpu/products/panel/panel.h"
#include "kernels/cpu/products/products.h"

namespace cliptag {

class WinogradConvolution {
 public:
  // `compute_type` is the type of feature maps. Null if there are no transforms for it.
  static std::unique_ptr<WinogradConvolution> Create(CpuLevel level, const PanelKernel& kernel,
                                                     DType compute_type, const SimdKernels& kernels,
                                                     ThreadPool* pool);

  // Whether such a convolution is faster this way.
  bool Takes(const ConvolutionSpec& spec) const;
  Result<std::unique_ptr<PackedWeight>> Pack(const ConvolutionSpec& spec) const;
  // The caller checks the arguments. Grows scratch when a shape is new.
  Status Run(const FeatureMap& x, const Convolution& convolution, const PackedWeight& weight,
             const ProductFinish& finish, const FeatureMap& out);

 private:
  class Weight;
  struct Job;

  WinogradConvolution(const PanelKernel& kernel, DType compute_type, const SimdKernels& kernels,
                      ThreadPool* pool)
      : kernel_(kernel),
        compute_type_(compute_type),
        kernels_(kernels),
        pool_(pool),
        scratch_(pool->size()) {}

  const WinogradTransforms& TransformsFor(int64_t in, int64_t out) const;
  Status Plan(Job* job);
  Status Grow(const Job& job);  // of scratch
  // Each task transforms the tiles that it multiplies.
  void RunOwn(const Job& job);
  // All tiles (or as many as the cache holds) are transformed, then multiplied.
  void RunShared(const Job& job);
  void TransformTiles(const Job& job, int64_t first, int64_t count, char* to) const;
  void MultiplyTiles(const Job& job, int64_t first, int64_t count, const char* rows,
                     int64_t first_panel, int64_t end_panel, int worker) const;
  void FinishTiles(const Job& job, int64_t first, int64_t count, int64_t first_panel,
                   int64_t panels, const float* products) const;

  const PanelKernel& kernel_;
  const DType compute_type_;
  const SimdKernels& kernels_;
  ThreadPool* const pool_;
  const WinogradTransforms* small_ = nullptr;
  const WinogradTransforms* large_ = nullptr;  // tile 4, or null
  struct Scratch {
    std::unique_ptr<Memory> rows, products;
  };
  std::vector<Scratch> scratch_;   // per worker
  std::unique_ptr<Memory> rows_;   // of all tiles
  std::unique_ptr<Memory> zeros_;  // the channels of a pixel outside the picture
};

}  // namespace cliptag
