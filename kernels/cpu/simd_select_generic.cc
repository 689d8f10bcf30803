// SimdKernelsFor where one portable version is compiled.
#include "kernels/cpu/simd_levels.h"

namespace cliptag {

const SimdKernels& SimdKernelsFor(CpuLevel level) { return kSimdBaseline; }

}  // namespace cliptag
