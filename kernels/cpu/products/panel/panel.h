// Own micro-kernels for products: row-major activations times weights packed into panels of 32
// outputs, with the epilogue applied while the tile is still in the L1 cache.
//
// A panel has, for every `group` of inputs (1 float, 2 bf16, 4 bytes), that group of each of its 32
// outputs: (depth / group, 32, group), 128 bytes a step, read once from front to back. This layout
// is two vectors of 16 lanes for AVX-512 and two B tiles for AMX.
//
// Thread safety: pure functions of their arguments, except that a kernel may set the calling
// thread's AMX tile configuration.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/machine/cpu_features.h"
#include "kernels/cpu/simd/simd.h"

namespace cliptag {

enum class PanelType : uint8_t { kF32, kBf16, kInt8 };

constexpr int kPanelColumns = 32;

// The quantization of a row of activations: x = scale * (q - zero), q in 0..255.
struct RowQuantization {
  float scale = 0;
  int32_t zero = 0;
};

// Rows of activations times one panel.
struct PanelTask {
  const void* x = nullptr;  // (rows, depth) floats, bf16 words or bytes
  int64_t x_stride = 0;     // bytes
  int64_t rows = 0;
  int64_t depth = 0;  // inputs of x and of the panel: a multiple of the kernel's depth_step
  // A row of x may consist of equal pieces (the rows of a convolution's window), each a multiple of
  // depth_step, with `piece_gap` bytes between the end of one and the start of the next.
  int pieces = 1;
  int64_t piece_gap = 0;
  const void* panel = nullptr;
  const void* next = nullptr;  // the next panel, to be prefetched; never null
  // kInt8: per row; and for each of the 32 outputs the scale and the sum of its weights.
  const RowQuantization* row_quantization = nullptr;
  const float* column_scales = nullptr;
  const int32_t* column_sums = nullptr;
  // Called for every tile; the kernel sets `block`, `block_stride` and `rows` and moves `out` and
  // `residual` on. `cols`: how many of the 32 outputs exist. Without an epilogue the sums go to
  // `out` as (rows, 32) floats; it is 64-byte aligned.
  EpilogueTask finish;
  void (*epilogue)(const EpilogueTask& task) = nullptr;
};

struct PanelKernel {
  const char* name = nullptr;  // "avx512 14x32"
  PanelType type = PanelType::kF32;
  int group = 1;       // inputs of an output that are neighbours in a panel
  int depth_step = 1;  // the depth is padded to a multiple of this
  void (*multiply)(const PanelTask& task) = nullptr;

  int64_t PaddedDepth(int64_t in) const { return (in + depth_step - 1) / depth_step * depth_step; }
  size_t element_bytes() const { return 4 / static_cast<size_t>(group); }
  size_t PanelBytes(int64_t in) const { return PaddedDepth(in) * kPanelColumns * element_bytes(); }
};

// The kernel for that type on a CPU of that level; null if there is none.
const PanelKernel* PanelKernelFor(CpuLevel level, PanelType type);

// Whether kInt8 is fast there: VNNI or AMX, four bytes per lane and instruction.
bool HasFastInt8(CpuLevel level);

}  // namespace cliptag
