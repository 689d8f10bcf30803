// PreprocessKernelsFor on x86-64: the widest vectors the level allows.
#include "kernels/cpu/preprocess/isa.h"

namespace cliptag {

const PreprocessKernels& PreprocessKernelsFor(CpuLevel level) {
  if (level >= CpuLevel::kAvx512) return kAvx512PreprocessKernels;
  if (level >= CpuLevel::kAvx2) return kAvx2PreprocessKernels;
  return kPortablePreprocessKernels;
}

}  // namespace cliptag
