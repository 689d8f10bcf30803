// WinogradTransformsFor where there are no panels either.
#include "kernels/cpu/convolution/winograd_kernels.h"

namespace cliptag {

const WinogradTransforms* WinogradTransformsFor(CpuLevel, DType, PanelType, int) { return nullptr; }

}  // namespace cliptag
