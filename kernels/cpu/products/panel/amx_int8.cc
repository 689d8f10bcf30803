// Products of bytes with AMX: quantized activations (unsigned) times weights (signed), summed
// exactly in 32 bits.
#include <immintrin.h>

#include "kernels/cpu/products/panel/kernels.h"

namespace cliptag {
namespace {

constexpr size_t kElementBytes = 1;
#define CLIPTAG_TILE_PRODUCT(sum, x, panel) _tile_dpbusd(sum, x, panel)
#include "kernels/cpu/products/panel/amx_instructions.inc"
#include "kernels/cpu/products/panel/finish.inc"

inline void Finish(const PanelTask& task, const RowQuantization* rows, int count, float* block) {
  FinishBytes(task, rows, count, block);
}

#include "kernels/cpu/products/panel/amx.inc"

}  // namespace

extern const PanelKernel kPanelAmxInt8 = {"amx_int8 32x32", PanelType::kInt8, 4, 64, Multiply};

}  // namespace cliptag
