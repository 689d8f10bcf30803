// An implementation of products of activations and weights on the CPU. There are two: oneDNN
// (kernels/cpu/products/onednn/gemm.h) and own panels (kernels/cpu/products/panel/gemm.h);
// cpu_gemm.h chooses between them for each weight.
//
// Ownership: a PackedWeight must not outlive the Products that packed it. Thread safety: used by
// one thread at a time.
#pragma once

#include <memory>

#include "kernels/backend.h"
#include "kernels/checks.h"
#include "kernels/cpu/simd/simd.h"

namespace cliptag {

// The epilogue of a product: bias, activation, residual, ReLU, in this order.
struct ProductFinish {
  Activation activation = Activation::kNone;
  bool accumulate = false;           // added to what `out` holds, which is f32
  const Matrix* residual = nullptr;  // added; of the shape and type of `out`
  bool relu = false;
};

// Sets the epilogue for the block of `out` whose corner is (row, column).
inline void SetFinish(const ProductFinish& finish, const Matrix& out, int64_t row, int64_t column,
                      EpilogueTask* task) {
  task->activation = finish.activation;
  task->accumulate = finish.accumulate;
  task->relu = finish.relu;
  if (finish.residual != nullptr) {
    task->residual = finish.residual->Rows(row, 1).Cols(column, 1).data;
    task->residual_stride = finish.residual->stride;
  }
  task->out = out.Rows(row, 1).Cols(column, 1).data;
  task->out_stride = out.stride;
  task->bf16 = out.type == DType::kBF16;
}

class PackedWeight {
 public:
  virtual ~PackedWeight() = default;
  virtual size_t bytes() const = 0;
};

class Products {
 public:
  virtual ~Products() = default;

  // `shape` is that of the spec, checked.
  virtual Result<std::unique_ptr<PackedWeight>> Pack(const LinearSpec& spec,
                                                     const LinearShape& shape) = 0;
  virtual Status Prepare(const PackedWeight& weight, int64_t rows) = 0;
  // Arguments are checked by the caller; at most as many rows as were prepared for.
  virtual Status Run(const Matrix& x, const PackedWeight& weight, const ProductFinish& finish,
                     const Matrix& out) = 0;
};

}  // namespace cliptag
