// The AMX kernels of kernels/cpu/products/panel/amx_*.cc, with emulated tiles.
#include "kernels/cpu/products/panel/kernels.h"
#include "tests/kernels/amx_emulation.h"
#include "tests/kernels/panel_test_kernels.h"

namespace cliptag {
namespace {

inline void TileConfigure(const void* shape) { amx::Configure(shape); }
inline void TileRelease() { amx::Release(); }
template <int kTile>
void TileZero() {
  amx::Zero(kTile);
}
template <int kTile>
void TileLoad(const void* p, int64_t stride) {
  amx::Load(kTile, p, stride);
}
template <int kTile>
void TileStore(void* p, int64_t stride) {
  amx::Store(kTile, p, stride);
}

namespace bf16 {
constexpr size_t kElementBytes = 2;
template <int kSum, int kX, int kPanel>
void TileDot() {
  amx::ProductBf16(kSum, kX, kPanel);
}
inline void Finish(const PanelTask&, const RowQuantization*, int, float*) {}
#include "kernels/cpu/products/panel/amx.inc"
}  // namespace bf16

namespace bytes {
constexpr size_t kElementBytes = 1;
template <int kSum, int kX, int kPanel>
void TileDot() {
  amx::ProductBytes(kSum, kX, kPanel);
}
#include "kernels/cpu/products/panel/finish.inc"
inline void Finish(const PanelTask& task, const RowQuantization* rows, int count, float* block) {
  FinishBytes(task, rows, count, block);
}
#include "kernels/cpu/products/panel/amx.inc"
}  // namespace bytes

}  // namespace

extern const PanelKernel kPanelAmxBf16Emulated = {"emulated amx_bf16", PanelType::kBf16, 2, 32,
                                                  bf16::Multiply};
extern const PanelKernel kPanelAmxInt8Emulated = {"emulated amx_int8", PanelType::kInt8, 4, 64,
                                                  bytes::Multiply};

}  // namespace cliptag
