// DetectCpuLevel on architectures that have only baseline code.
#include "kernels/cpu/machine/cpu_features.h"

namespace cliptag {

CpuLevel DetectCpuLevel() { return CpuLevel::kBaseline; }

}  // namespace cliptag
