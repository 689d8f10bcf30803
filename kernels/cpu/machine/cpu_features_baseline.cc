// DetectCpuLevel where the backend has the baseline alone.
#include "kernels/cpu/machine/cpu_features.h"

namespace cliptag {

CpuLevel DetectCpuLevel() { return CpuLevel::kBaseline; }

}  // namespace cliptag
