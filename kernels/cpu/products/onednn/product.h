// Matrix products by oneDNN, one thread each: out (rows, n) f32 = x (rows, k) times weights (n, k)
// transposed, x and weights both f32 or both bf16.
//
// The system's oneDNN uses OpenMP. It adds no threads here: it plans and runs with OpenMP set to
// one thread, and the backend splits a product over its own pool. Plain products only: bias,
// activation and residual are in the backend's epilogue, so that one plan serves every layer of a
// shape (and because oneDNN's fast products write contiguous blocks only).
//
// Measured on Zen 4 with oneDNN 2.6.3 (one core): brgemm reaches 110..116 Gflop/s in f32 and
// 210..232 in bf16 for every n >= 64 and rows >= 8 that CLIP uses: the peak of its FMA units.
//
// Ownership: PackedWeights must not outlive the memory that it was packed into, nor a Plan its
// OneDnn. Thread safety: several threads may call Pack and Run at once (Run with different
// `worker`s); everything else is for one thread at a time.
#pragma once

#include <memory>

#include "kernels/backend.h"
#include "kernels/cpu/machine/cpu_features.h"

namespace cliptag {

class OneDnn {
 public:
  class PackedWeights;
  class Plan;

  // If CLIPTAG_CPU caps the level, oneDNN's own dispatch is capped, too (the first call in a
  // process decides).
  static Result<std::unique_ptr<OneDnn>> Create(CpuLevel level, int workers);
  ~OneDnn();

  // Bytes of weights in the layout that products of this shape want.
  Result<size_t> PackedBytes(DType type, int64_t n, int64_t k);
  // Packs weights (n, k), contiguous, into `to`: 64-byte aligned, of PackedBytes(type, n, k), which
  // must have been called before.
  Result<std::unique_ptr<PackedWeights>> Pack(DType type, int64_t n, int64_t k, const void* weights,
                                              void* to) const;

  // The plan for products of that shape, created at the first call.
  Result<Plan*> FindPlan(DType type, int64_t rows, int64_t n, int64_t k);
  // x: contiguous (rows, k). False if oneDNN reports an error.
  bool Run(Plan& plan, const PackedWeights& weights, const void* x, float* out, int worker);

  static std::string Version();  // "oneDNN 2.6.3"

 private:
  struct Impl;
  explicit OneDnn(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

class OneDnn::PackedWeights {
 public:
  virtual ~PackedWeights() = default;
};

}  // namespace cliptag
