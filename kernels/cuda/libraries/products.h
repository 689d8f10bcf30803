// Products of activations and weights by cuBLASLt: y = x W^T + b with f32 sums, with the residual
// addition (beta = 1) and the bias in its epilogue. The library has no QuickGELU epilogue, and its
// GELU is the tanh approximation, so activations have a kernel of their own (activation.cuh), which
// adds the bias. Such a product is rounded to 16 bits before its bias is added. This loses no more
// than the library's epilogue, whose bias must itself be 16 bits: one rounding either way, half an
// ulp, within the operation's tolerance (backend_ops_test.cc) and that of the golden models. An f32
// product would be written and read in twice the bytes, 63 us more for a layer of ViT-L/14 at batch
// 64.
//
// Row-major matrices are column-major ones transposed, so the library computes
// y^T (out, rows) = W (out, in) x^T (in, rows) with W given as its (in, out) transpose: the "TN"
// form, which every tensor-core kernel of the library supports.
//
// The library proposes algorithms for a shape, the best first by its heuristics. The first is not
// the fastest for large products: on an H200 (2026-11-26, tests/gpu) the attention's output of
// ViT-L/14 at batch 64 took 82.4 us by the first proposal and 64.4 by the fourth, the first layer
// of its MLP 177.7 and 160.6 by the fifth, that output in ViT-H/14 113.7 and 88.9. At batch 1 the
// first was mostly within 4 % of the best. So the first run of a shape times up to eight of them,
// unless the first is fast, within a budget of milliseconds (fastest.h), in memory of its own: the
// caller's is not written to. Without memory for that, or during a capture, the first is used.
//
// Ownership: borrows device and stream. Thread safety: used by one thread at a time.
#pragma once

#include <cublasLt.h>

#include <map>
#include <memory>
#include <tuple>
#include <vector>

#include "kernels/backend.h"
#include "kernels/cuda/device/runtime.h"

namespace cliptag::cuda {

class Products {
 public:
  // `compute_type`: kF16 or kBF16, of weights and x.
  static Result<std::unique_ptr<Products>> Create(const Device& device, DType compute_type,
                                                  cudaStream_t stream);
  ~Products();

  Result<std::unique_ptr<Linear>> Pack(const LinearSpec& spec);
  // out = x W^T + b, or without b if a kernel that adds it follows; out += with `accumulate`. The
  // caller checks the arguments.
  Status Run(const Matrix& x, const Linear& linear, bool with_bias, bool accumulate,
             const Matrix& out);

  static const float* Bias(const Linear& linear);  // (out) f32, or null

 private:
  class PackedLinear;
  struct Plan;
  // The library's choice of an algorithm depends on these.
  using Key = std::tuple<int64_t, int64_t, int64_t, int64_t, int64_t, DType, bool, bool, uint32_t,
                         uint32_t>;
  struct Product {
    const Matrix& x;
    const PackedLinear& linear;
    bool with_bias, accumulate;
    const Matrix& out;
  };

  Products(const Device& device, DType compute_type, cudaStream_t stream);
  static Status SetBias(const Plan& plan, const PackedLinear& linear, DType out);
  Result<Plan*> PlanFor(const Product& product);
  Result<std::unique_ptr<Plan>> MakePlan(const Product& product);
  Result<std::vector<cublasLtMatmulAlgo_t>> Proposals(const Plan& plan, const Product& product,
                                                      int most);
  // The index of the proposal that is fastest on this GPU.
  Result<size_t> FastestOf(const std::vector<cublasLtMatmulAlgo_t>& proposals, const Plan& plan,
                           const Product& product);
  // Puts the product into the stream, with other operands `x` and `out` of the same layout.
  Status Start(const Product& product, const Plan& plan, const cublasLtMatmulAlgo_t& algorithm,
               const void* x, void* out);

  const Device& device_;
  DType compute_type_;
  cudaStream_t stream_;
  cublasLtHandle_t library_ = nullptr;
  std::unique_ptr<DeviceMemory> workspace_;
  std::map<Key, std::unique_ptr<Plan>> plans_;
};

}  // namespace cliptag::cuda
