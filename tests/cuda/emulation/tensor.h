// What lanes bring to mma.sync and ldmatrix, and the two of them. Called by the lane that comes
// last, with what each of the 32 brought.
#pragma once

#include <cstdint>

#include "tests/cuda/emulation/machine.h"

namespace cliptag::emulation {

struct MmaFragment {
  float* c;           // 4
  const uint32_t* a;  // depth / 4
  const uint32_t* b;  // depth / 8
};

struct MatrixLoad {
  const void* row;
  uint32_t* words;
};

// c (16, 8) += a (16, depth) b (depth, 8); depth 8 or 16.
void MultiplyFragments(void* const (&lanes)[kLanes], int depth, float (*to_float)(uint16_t));

void LoadMatrices(void* const (&lanes)[kLanes], int count, bool transposed);
int CountBankConflicts(void* const (&lanes)[kLanes], int count);

}  // namespace cliptag::emulation
