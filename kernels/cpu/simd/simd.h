// The CPU backend's vector kernels: everything except matrix products. One source
// (kernels/cpu/simd/kernels.inc) is compiled once per instruction set, with its flags, into a table
// of functions; the backend chooses the table when it starts.
//
// Kernels work on one thread's share of an operation; the backend splits the work and checks the
// arguments. Strides count elements. `bool bf16`: the void pointer points to bfloat16 words, else
// to floats.
//
// Thread safety: pure functions of their arguments; scratch is the caller's, per thread.
#pragma once

#include <cstdint>

#include "kernels/backend.h"
#include "kernels/cpu/machine/cpu_features.h"

namespace cliptag {

// Queries [q_first, q_first + q_count) of one head of one batch item; pointers at its (0, 0).
struct AttentionTask {
  const void* q = nullptr;
  const void* k = nullptr;
  const void* v = nullptr;
  void* out = nullptr;
  int64_t q_stride = 0, k_stride = 0, v_stride = 0, out_stride = 0;
  bool bf16 = false;
  int q_first = 0, q_count = 0;
  int keys = 0;  // number of leading keys that are visible
  int head_dim = 0;
  bool causal = false;
  float scale = 1.0f;
  float* scratch = nullptr;  // AttentionScratchFloats(head_dim), 64-byte aligned
};

// The epilogue of a block of a product: bias, activation, residual, conversion.
struct EpilogueTask {
  const float* block = nullptr;  // (rows, cols)
  int64_t block_stride = 0;
  int64_t rows = 0, cols = 0;
  const float* bias = nullptr;  // (cols), or null
  Activation activation = Activation::kNone;
  bool accumulate = false;         // added to what `out` holds
  const void* residual = nullptr;  // (rows, cols) of the type of `out`, added; or null
  int64_t residual_stride = 0;
  bool relu = false;
  void* out = nullptr;
  int64_t out_stride = 0;
  bool bf16 = false;
};

// Rows normalised to mean 0 and variance 1, times gamma plus beta.
struct NormTask {
  const void* x = nullptr;  // (rows, cols)
  int64_t x_stride = 0;
  bool x_bf16 = false;
  int64_t rows = 0, cols = 0;
  const float* gamma = nullptr;
  const float* beta = nullptr;  // or null
  float epsilon = 0;
  float* residual = nullptr;  // (rows, cols): residual += norm, out = residual; or null
  int64_t residual_stride = 0;
  void* out = nullptr;  // (rows, cols); may be x
  int64_t out_stride = 0;
  bool bf16 = false;
};

// Channels that a depthwise convolution processes together.
inline constexpr int kDepthwiseChannels = 16;

// One row of a depthwise convolution's output, for one block of channels.
struct DepthwiseTask {
  const float* const* rows = nullptr;  // `kernel` rows of pixels, zeros around them
  const float* weight = nullptr;       // (kernel, kernel, kDepthwiseChannels)
  int kernel = 0, stride = 1;
  int64_t count = 0;     // pixels of the output
  float* out = nullptr;  // (count, kDepthwiseChannels)
};

struct SimdKernels {
  void (*layer_norm)(const NormTask& task);
  void (*attention)(const AttentionTask& task);
  void (*epilogue)(const EpilogueTask& task);
  // RoPE of one row x (n), n a multiple of head_dim: each pair, as a complex number, times its cos
  // and sin in `angles` (head_dim), the same for every head.
  void (*rope)(void* x, bool bf16, int64_t n, const float* angles, int64_t head_dim);
  // out[i] = silu(gate[i]) * value[i]; out may be `gate`.
  void (*gated_silu)(const void* gate, const void* value, bool bf16, int64_t n, void* out);
  // out[i] = a[i] + b[i].
  void (*add)(const void* a, bool bf16, const float* b, int64_t n, void* out, bool out_bf16);
  void (*normalize)(float* x, int64_t n);  // to unit length; zero stays zero
  // out[i] = a . rows[i] of `count` rows.
  void (*dot_rows)(const float* a, const float* rows, int64_t stride, int64_t count, int64_t n,
                   float* out);
  void (*to_bf16)(const float* x, int64_t n, uint16_t* out);
  void (*from_bf16)(const uint16_t* x, int64_t n, float* out);  // x may be unaligned
  void (*from_f16)(const uint16_t* x, int64_t n, float* out);   // likewise
  // Quantizes n elements: x[i] = scale * (out[i] - zero), out[i] in 0..255, rounded. Elements up to
  // `padded` get any value; they are multiplied by zeros. A row with NaN or infinity gets a scale
  // of NaN.
  void (*quantize)(const void* x, bool bf16, int64_t n, int64_t padded, uint8_t* out, float* scale,
                   int32_t* zero);
  // out (channels) = the mean of window x window pixels: neighbours in a row, rows `row_stride`
  // elements apart; all of one type.
  void (*average_pixels)(const void* x, bool bf16, int64_t channels, int64_t row_stride, int window,
                         void* out);
  // out[i] = activation(x[i] * sigmoid(gates[i])), all of one type; `out` may be x.
  void (*squeeze_excite)(const void* x, const void* gates, bool bf16, int64_t n,
                         Activation activation, void* out);
  // out (pixels, kDepthwiseChannels): for each pixel channel (phase + i) / repeat for i <
  // `channels`, then zeros; pixels `stride` elements apart.
  void (*widen_pixels)(const void* x, bool bf16, int64_t stride, int64_t pixels, int channels,
                       int phase, int repeat, float* out);
  void (*depthwise_row)(const DepthwiseTask& task);
};

// The kernels for a CPU of that level.
const SimdKernels& SimdKernelsFor(CpuLevel level);

}  // namespace cliptag
