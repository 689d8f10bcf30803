// Products by the micro-kernels of panel.h: weights packed once into panels of 32 outputs, a
// product split over the pool by panels (and by rows, if those are too few).
//
// A task's panels stay in the core's L2 cache while blocks of rows that fit beside them pass:
// weights are read from the outer cache or memory once per task, activations once per block and
// task, and the next panel is prefetched while the current one is multiplied. A product of ViT-B/32
// in bf16 at batch 1 (50 rows, n x k = 3072 x 768) reads 4.7 MB of weights for 236 Mflop: on two
// Zen 4 cores (460 Gflop/s, about 25 GB/s) 0.51 ms of arithmetic against 0.19 of memory traffic.
//
// With kInt8, weights are quantized per output (symmetric, absmax / 127), and activations per row
// when they are multiplied (0..255 with a zero point: GELU leaves only small negative values, so
// these cost little of the range). Sums are exact.
//
// Ownership: borrows the pool. Thread safety: as Products.
#pragma once

#include <memory>

#include "kernels/cpu/machine/thread_pool.h"
#include "kernels/cpu/products/panel/panel.h"
#include "kernels/cpu/products/panel/weight.h"
#include "kernels/cpu/products/products.h"

namespace cliptag {

class PanelGemm : public Products {
 public:
  // `compute_type` is the type of x. With a kF32 kernel and bf16, weights are rounded to bf16, too.
  PanelGemm(const PanelKernel& kernel, DType compute_type, const SimdKernels& kernels,
            ThreadPool* pool)
      : kernel_(kernel), compute_type_(compute_type), kernels_(kernels), pool_(pool) {}

  Result<std::unique_ptr<PackedWeight>> Pack(const LinearSpec& spec,
                                             const LinearShape& shape) override;
  Status Prepare(const PackedWeight& weight, int64_t rows) override;
  Status Run(const Matrix& x, const PackedWeight& weight, const ProductFinish& finish,
             const Matrix& out) override;

 private:
  using Weight = PanelWeight;
  struct Split;
  // Rows as the kernel reads them.
  struct Operand {
    const char* data = nullptr;
    int64_t stride = 0;  // bytes
    const RowQuantization* quantization = nullptr;
  };

  bool CopiesOperand(const Weight& weight) const;
  int64_t OperandStride(const Weight& weight) const;
  Operand PrepareOperand(const Matrix& x, const Weight& weight);
  void CopyRow(const Matrix& x, int64_t row, const Weight& weight);
  Split SplitOf(const Weight& weight, int64_t rows) const;

  const PanelKernel& kernel_;
  const DType compute_type_;
  const SimdKernels& kernels_;
  ThreadPool* const pool_;
  std::unique_ptr<Memory> operand_;       // copies of rows that the kernel cannot read in place
  std::unique_ptr<Memory> quantization_;  // RowQuantization of each
};

}  // namespace cliptag
