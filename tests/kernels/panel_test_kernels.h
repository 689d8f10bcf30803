// Kernels that exist in the tests alone.
#pragma once

#include "kernels/cpu/panel.h"

namespace cliptag {

extern const PanelKernel kPanelAmxBf16Emulated;
extern const PanelKernel kPanelAmxInt8Emulated;

}  // namespace cliptag
