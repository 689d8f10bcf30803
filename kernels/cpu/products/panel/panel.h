// Own micro-kernels for products: activations, row-major, times weights packed into panels of 32
// outputs, each finished by its epilogue while the tile is still in the first-level cache.
//
// A panel holds, for every `group` of inputs (1 float, 2 bf16, 4 bytes), that group of each of its
// 32 outputs: (depth / group, 32, group), 128 bytes a step, read once from front to back. The same
// layout is two vectors of 16 lanes for AVX-512 and two B tiles for AMX.
//
// Thread safety: pure functions of their arguments, but that a kernel may set the calling thread's
// tile configuration.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/machine/cpu_features.h"
#include "kernels/cpu/simd/simd.h"

namespace cliptag {

enum class PanelType : uint8_t { kF32, kBf16, kInt8 };

constexpr int kPanelColumns = 32;

// What a row of activations was quantised with: x = scale * (q - zero), q in 0..255.
struct RowQuantization {
  float scale = 0;
  int32_t zero = 0;
};

// Rows of activations times one panel.
struct PanelTask {
  const void* x = nullptr;  // (rows, depth) floats, bf16 words or bytes
  int64_t x_stride = 0;     // bytes
  int64_t rows = 0;
  int64_t depth = 0;  // inputs, a multiple of the kernel's depth_step; the panel has as many
  // A row may lie in equal pieces, each of a multiple of the kernel's depth_step, with so many
  // bytes from the end of one to the next: the rows of a window over a picture.
  int pieces = 1;
  int64_t piece_gap = 0;
  const void* panel = nullptr;
  const void* next = nullptr;  // the panel after it, brought closer meanwhile; never null
  // Bytes only: of each row, and of each of the 32 outputs the scale and the sum of its weights.
  const RowQuantization* row_quantization = nullptr;
  const float* column_scales = nullptr;
  const int32_t* column_sums = nullptr;
  // Called for every tile with `block`, `block_stride`, `rows` and `out` set for it; `cols` is how
  // many of the 32 outputs there are, `out` the first row's. Without an epilogue sums stay as they
  // are, (rows, 32) floats at `out`, which is 64-byte aligned.
  EpilogueTask finish;
  void (*epilogue)(const EpilogueTask& task) = nullptr;
};

struct PanelKernel {
  const char* name = nullptr;  // "avx512 14x32"
  PanelType type = PanelType::kF32;
  int group = 1;       // inputs that lie together
  int depth_step = 1;  // what the depth is padded to a multiple of
  void (*multiply)(const PanelTask& task) = nullptr;

  int64_t PaddedDepth(int64_t in) const { return (in + depth_step - 1) / depth_step * depth_step; }
  size_t element_bytes() const { return 4 / static_cast<size_t>(group); }
  size_t PanelBytes(int64_t in) const { return PaddedDepth(in) * kPanelColumns * element_bytes(); }
};

// The kernel for that type on a machine of that level; null where there is none.
const PanelKernel* PanelKernelFor(CpuLevel level, PanelType type);

// Whether kInt8 is quick there: four bytes an instruction and lane (VNNI, AMX).
bool HasFastInt8(CpuLevel level);

}  // namespace cliptag
