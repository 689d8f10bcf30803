// One way of multiplying activations and weights on the CPU. There are two, oneDNN's
// (onednn_gemm.h) and the panels of our own (panel_gemm.h); cpu_gemm.h chooses between them for
// each weight.
//
// Ownership: a PackedWeight must not outlive the Products that packed it. Thread safety: used by
// one thread at a time.
#pragma once

#include <memory>

#include "kernels/backend.h"
#include "kernels/checks.h"

namespace cliptag {

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
  virtual Status Run(const Matrix& x, const PackedWeight& weight, Activation activation,
                     bool accumulate, const Matrix& out) = 0;
};

}  // namespace cliptag
