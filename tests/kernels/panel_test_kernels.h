// Kernels that exist only in the tests.
#pragma once

#include "kernels/cpu/products/panel/panel.h"

namespace cliptag {

extern const PanelKernel kPanelAmxBf16Emulated;
extern const PanelKernel kPanelAmxInt8Emulated;

}  // namespace cliptag
