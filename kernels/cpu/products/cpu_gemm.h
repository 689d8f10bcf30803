// Products of activations and weights on the CPU, each by the implementation that is fastest for
// its shape on this machine: own panels or oneDNN.
//
// If both exist, the first weight of a shape is timed with both, some ten milliseconds a shape, and
// the process keeps the choice; SetChoices takes the choices of an earlier process.
//
// Ownership: borrows the pool. Thread safety: used by one thread at a time.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "kernels/backend.h"
#include "kernels/cpu/machine/cpu_features.h"
#include "kernels/cpu/machine/thread_pool.h"
#include "kernels/cpu/products/panel/panel.h"
#include "kernels/cpu/products/products.h"
#include "kernels/cpu/simd/simd.h"

namespace cliptag {

class CpuGemm {
 public:
  // `compute_type` is the type of x: f32 or bf16. Without bf16 instructions at `level`, bf16 values
  // are multiplied as f32. With `int8`, weights that are not `precise` are quantized to int8.
  static Result<std::unique_ptr<CpuGemm>> Create(CpuLevel level, DType compute_type, bool int8,
                                                 const SimdKernels& kernels, ThreadPool* pool);

  Result<std::unique_ptr<Linear>> Pack(const LinearSpec& spec);
  Status Prepare(const Linear& linear, int64_t rows);
  // Arguments are checked by the caller.
  Status Run(const Matrix& x, const Linear& linear, const ProductFinish& finish, const Matrix& out);

  // One line per packed shape: "768x2304: avx512_bf16 14x32 (0.31 ms, oneDNN 0.35 ms)".
  const std::vector<std::string>& products() const { return products_; }

  // As in Backend: "192x768=onednn 768x192=own", inputs x outputs.
  std::string choices() const;
  void SetChoices(const std::string& choices);

 private:
  class PackedLinear;
  struct Choice {
    bool onednn = false;
    std::string why;
  };

  CpuGemm(CpuLevel level, DType compute_type, const SimdKernels& kernels, ThreadPool* pool)
      : level_(level), compute_type_(compute_type), kernels_(kernels), pool_(pool) {}

  // The implementation that multiplies weights of that shape faster.
  Result<Products*> Choose(const LinearShape& shape);
  Result<Choice> Time(const LinearShape& shape) const;
  void Note(const LinearShape& shape, const std::string& product);

  const CpuLevel level_;
  const DType compute_type_;
  const SimdKernels& kernels_;
  ThreadPool* const pool_;
  std::unique_ptr<Products> int8_, panels_, onednn_;  // null if not available
  const PanelKernel* panel_kernel_ = nullptr;
  const PanelKernel* int8_kernel_ = nullptr;
  std::vector<std::string> products_;
  std::map<std::pair<int64_t, int64_t>, Choice> choices_;  // by inputs and timed outputs
};

}  // namespace cliptag
