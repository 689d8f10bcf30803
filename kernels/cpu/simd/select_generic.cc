// SimdKernelsFor where one portable version is compiled.
#include "kernels/cpu/simd/levels.h"

namespace cliptag {

const SimdKernels& SimdKernelsFor(CpuLevel level) { return kSimdBaseline; }

}  // namespace cliptag
