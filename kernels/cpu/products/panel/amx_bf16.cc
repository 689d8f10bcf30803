// Products of bf16 with AMX, summed in f32.
#include <immintrin.h>

#include "kernels/cpu/products/panel/kernels.h"

namespace cliptag {
namespace {

constexpr size_t kElementBytes = 2;
#define CLIPTAG_TILE_PRODUCT(sum, x, panel) _tile_dpbf16ps(sum, x, panel)
#include "kernels/cpu/products/panel/amx_instructions.inc"

inline void Finish(const PanelTask&, const RowQuantization*, int, float*) {}

#include "kernels/cpu/products/panel/amx.inc"

}  // namespace

extern const PanelKernel kPanelAmxBf16 = {"amx_bf16 32x32", PanelType::kBf16, 2, 32, Multiply};

}  // namespace cliptag
