// The inner loops of CPU preprocessing as a table of functions, compiled once per instruction set
// from kernels/cpu/preprocess/loops.inc. They work on blocks of 16 rows: the pass along a row reads
// "columns", a (samples, 16) array in which samples of 16 rows are neighbours. So a weight is
// broadcast to 16 independent sums, and nothing is summed across a vector.
//
// 8-bit functions give the same bytes with every instruction set. No function reads beyond the
// samples of its arguments. Buffers belong to the caller and do not overlap.
// Thread safety: pure functions.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/machine/cpu_features.h"
#include "kernels/shared/tone_map.h"

namespace cliptag {

inline constexpr int kBlock = 16;  // rows that are resampled together

// The source samples of one output: weights[at], weights[at + 1], … for samples first, first + 1, …
struct Taps {
  int first = 0, count = 0, at = 0;
};

// RGB in 0..1 from sample values as color.h's ColorMap, then rgb * scale + bias per channel.
struct ColorArgs {
  float y, rv, gu, gv, bu;
  float zero[3];
  float scale[3], bias[3];
};

struct PreprocessKernels {
  const char* name;

  // columns (bytes, 16) = 16 rows of `bytes` bytes.
  void (*load_columns)(const uint8_t* const* rows, int bytes, uint8_t* columns);
  // out (count, 16): per output the weighted sum of its taps' columns; column of sample s is
  // columns + (s - first_sample) * step. Fixed point as PIL's; step in elements.
  void (*across_u8)(const uint8_t* columns, ptrdiff_t step, int first_sample, const Taps* taps,
                    const int32_t* weights, int count, uint8_t* out);
  void (*across_f32)(const float* columns, ptrdiff_t step, int first_sample, const Taps* taps,
                     const float* weights, int count, float* out);
  // out (bytes) = weighted sum of `taps` rows, the first at `rows`. Fixed point as PIL's.
  void (*down_u8)(const uint8_t* rows, ptrdiff_t row_stride, const int32_t* weights, int taps,
                  int bytes, uint8_t* out);
  // columns (samples, 16): for each of up to 16 outputs (the others get zeros) the weighted sum of
  // its taps' rows; row r starts at rows + r * row_stride. A sample is word >> shift.
  void (*down_f32_u8)(const uint8_t* rows, ptrdiff_t row_stride, const Taps* taps,
                      const float* weights, int outputs, int samples, int shift, float* columns);
  // The same in integers, if that is faster with this instruction set, else null. `taps` and
  // `weights` are for pairs of rows (2p, 2p + 1): a weight is two 16-bit words, the even row's in
  // the lower half, and 1 / scale stands for 1. Only rows [first_row, end_row) are read; others
  // have zero weights. Returns false for shapes that it does not support.
  bool (*down_pairs_u8)(const uint8_t* rows, ptrdiff_t row_stride, int first_row, int end_row,
                        const Taps* taps, const int32_t* weights, float scale, int outputs,
                        int samples, float* columns);
  void (*down_f32_u16)(const uint8_t* rows, ptrdiff_t row_stride, const Taps* taps,
                       const float* weights, int outputs, int samples, int shift, float* columns);
  // rows: 16 of `count` values, from columns (count, 16).
  void (*transpose_u8)(const uint8_t* columns, int count, uint8_t* rows, ptrdiff_t row_stride);
  void (*transpose_f32)(const float* columns, int count, float* rows, ptrdiff_t row_stride);
  // In place: Y, U, V to normalised R, G, B.
  void (*convert_yuv)(const ColorArgs& color, int count, float* y, float* u, float* v);
  // One channel: clamp(value * color.y + color.zero[0]), then scale and bias of `channel`.
  void (*convert_one)(const ColorArgs& color, int channel, int count, const float* in, float* out);
  // In place: R', G', B' in 0..1 tone-mapped (tone_map.h), then scale and bias.
  void (*tone_map)(const ToneMapTable& table, const ColorArgs& color, int count, float* r, float* g,
                   float* b);
  void (*bytes_to_f32)(const uint8_t* in, float scale, float bias, int count, float* out);
  void (*f32_to_bf16)(const float* in, int count, uint16_t* out);  // to nearest even; no NaN
};

// The kernels for a CPU of that level.
const PreprocessKernels& PreprocessKernelsFor(CpuLevel level);

}  // namespace cliptag
