// Reads weights as floats, one output at a time, whatever their type, order and stacking: the start
// of every way of packing them. Thread safety: a pure function.
#pragma once

#include <cstdint>

#include "kernels/backend.h"
#include "kernels/cpu/simd/simd.h"

namespace cliptag {

// The weights of one output of the stacked product: `in` floats.
void ReadWeightRow(const LinearSpec& spec, int64_t in, int64_t output, const SimdKernels& kernels,
                   float* to);

}  // namespace cliptag
