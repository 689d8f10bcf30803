// The rows of a LinearSpec as floats, one output at a time, whatever their type, order and
// stacking: what every way of packing weights starts from.
//
// Ownership: borrows the spec. Thread safety: const, for several threads at once.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/backend.h"
#include "kernels/checks.h"
#include "kernels/cpu/simd/simd.h"

namespace cliptag {

class WeightRows {
 public:
  WeightRows(const LinearSpec& spec, const LinearShape& shape, const SimdKernels& kernels)
      : spec_(spec), shape_(shape), kernels_(kernels) {}

  // The weights of `output`, (in) floats.
  void Read(int64_t output, float* to) const;
  // All biases, (out) floats; empty without.
  std::vector<float> Biases() const;

 private:
  const LinearSpec& spec_;
  const LinearShape shape_;
  const SimdKernels& kernels_;
};

}  // namespace cliptag
