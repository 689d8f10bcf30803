// Products by oneDNN. Weights are packed in column blocks; a product is split over the pool by
// column blocks (and by rows, if those are too few). oneDNN multiplies each part into a block that
// stays in the core's own cache, from where the epilogue (bias, activation, residual, conversion)
// writes it to the output.
//
// Bytes and flops of ViT-B/32 in f32, a layer's four products (n x k = 2304 x 768, 768 x 768,
// 3072 x 768, 768 x 3072): 28.3 MB of weights and, per row, 14.2 Mflop; 50 rows an image, 12
// layers: 340 MB and 8.5 Gflop. On two Zen 4 cores (230 Gflop/s, about 25 GB/s and more when idle)
// a batch of 1 takes 37 ms of arithmetic against 14 ms of memory traffic: bound by arithmetic, if
// weights are read only once. So the columns are split and not the rows. bf16 halves both.
//
// Ownership: borrows the pool. Thread safety: used by one thread at a time.
#pragma once

#include <memory>
#include <vector>

#include "kernels/backend.h"
#include "kernels/cpu/machine/cpu_features.h"
#include "kernels/cpu/machine/thread_pool.h"
#include "kernels/cpu/products/onednn/product.h"
#include "kernels/cpu/products/products.h"
#include "kernels/cpu/simd/simd.h"

namespace cliptag {

class OneDnnGemm : public Products {
 public:
  // `compute_type` is the type of x: f32 or bf16. Without bf16 instructions at `level`, bf16 values
  // are multiplied as f32.
  static Result<std::unique_ptr<OneDnnGemm>> Create(CpuLevel level, DType compute_type,
                                                    const SimdKernels& kernels, ThreadPool* pool);

  Result<std::unique_ptr<PackedWeight>> Pack(const LinearSpec& spec,
                                             const LinearShape& shape) override;
  Status Prepare(const PackedWeight& weight, int64_t rows) override;
  Status Run(const Matrix& x, const PackedWeight& weight, const ProductFinish& finish,
             const Matrix& out) override;

 private:
  class Weight;
  struct Split;

  OneDnnGemm(DType compute_type, DType product_type, const SimdKernels& kernels, ThreadPool* pool,
             std::unique_ptr<OneDnn> onednn);

  Status PackBlock(const LinearSpec& from, Weight& linear, size_t block);
  Status GrowScratch(int64_t block_cols, int64_t in);
  Result<Split> Plan(const Weight& linear, int64_t rows);
  // x as contiguous rows of product_type_, which oneDNN needs; copied to scratch if it is not.
  const void* Operand(const Matrix& x, int worker);

  DType compute_type_;  // of activations
  DType product_type_;  // of oneDNN's operands
  const SimdKernels& kernels_;
  ThreadPool* pool_;
  std::unique_ptr<OneDnn> onednn_;
  struct Scratch {
    std::unique_ptr<Memory> block;  // (kRowBlock, widest column block) f32
    std::unique_ptr<Memory> x;      // (kRowBlock, longest row)
  };
  std::vector<Scratch> scratch_;  // per worker
};

}  // namespace cliptag
