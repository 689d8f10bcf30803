// What golden_test.cc runs the models on, and how near the reference each has to come: the oracle
// and the CPU (golden_engines_cpu.cc), or the CUDA backend
// (tests/cuda/backend/golden_engines_cuda.cc).
#pragma once

#include <memory>
#include <vector>

#include "kernels/backend.h"

namespace cliptag {

struct GoldenEngine {
  const char* name;
  Result<std::unique_ptr<Backend>> (*create)();
  double images, texts;  // smallest cosine that is allowed
  double photos;         // of pictures that were resized here, not by PIL
};

const std::vector<GoldenEngine>& GoldenEngines();

}  // namespace cliptag
