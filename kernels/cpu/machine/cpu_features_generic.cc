// DetectCpuLevel where the backend has portable code only.
#include "kernels/cpu/machine/cpu_features.h"

namespace cliptag {

CpuLevel DetectCpuLevel() { return CpuLevel::kBaseline; }

}  // namespace cliptag
