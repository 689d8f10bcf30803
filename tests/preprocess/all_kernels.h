// The kernels of every level that this machine has.
#pragma once

#include <vector>

#include "kernels/cpu/machine/cpu_features.h"
#include "kernels/cpu/preprocess/kernels.h"

namespace cliptag {

inline std::vector<const PreprocessKernels*> AllKernels() {
  std::vector<const PreprocessKernels*> all;
  for (const CpuLevel level : {CpuLevel::kBaseline, CpuLevel::kAvx2, CpuLevel::kAvx512}) {
    const PreprocessKernels* kernels = &PreprocessKernelsFor(level);
    if (level <= DetectCpuLevel() && (all.empty() || all.back() != kernels)) all.push_back(kernels);
  }
  return all;
}

}  // namespace cliptag
