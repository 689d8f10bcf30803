// What the preprocessing kernel reads beside the pixels: a block of bytes that the host lays out
// and copies to the device once per batch. First the frames' descriptions, one after the other,
// then the filters of their axes, which frames of equal geometry share; a description names a
// filter by its offset in bytes from the start of the block. Plain data, for host and device code
// alike.
#pragma once

#include <cstdint>

namespace cliptag::cuda {

// Targets down and across that a warp makes with tensor cores, and a block of them.
inline constexpr int kPreprocessWarps = 4;
inline constexpr int kPreprocessThreads = 32 * kPreprocessWarps;
inline constexpr int kDownTile = 16;
inline constexpr int kAcrossTile = 8;
inline constexpr int kAcrossTiles = 4;                          // of a warp
inline constexpr int kWarpAcross = kAcrossTile * kAcrossTiles;  // targets
inline constexpr int kBlockAcross = kWarpAcross * kPreprocessWarps;
inline constexpr int kRowStep = 16;      // source rows that are multiplied together
inline constexpr int kColumnGroup = 16;  // source columns, likewise: kernels/cuda/preprocess/rows.h
inline constexpr int kStepFragmentBytes = 512;  // of a down filter, for a step of rows
constexpr int GroupBytes(int column_bytes) { return kColumnGroup * column_bytes; }
// Shared memory for the fragments of all of a frame's rows; a frame that needs more, one of more
// than some 20 samples to a target, does without tensor cores.
inline constexpr int kMaxFragmentBytes = 46 * kStepFragmentBytes;
// An edge of the model's input, in pixels, is smaller.
inline constexpr int kMaxPreprocessSize = 1 << 15;
// Target pixels of a block, both ways, on the path without tensor cores.
inline constexpr int kTapsTile = 16;

// 1024 as f16 in both halves; its upper byte: with a byte below it, 1024 + that byte.
inline constexpr uint32_t kThousands = 0x64006400u, kThousandBytes = 0x64646464u;

enum class PreprocessPath : int32_t {
  kFixedTaps,  // 8-bit RGB and gray: PIL's fixed point, X first
  kRealTaps,   // f32, whatever the others do not take
  kTensor,     // tensor cores
  kExact,      // tensor cores, PIL's fixed point
};

// --- filters -------------------------------------------------------------------------------------
// Each starts with a record per target or tile of targets; what a record refers to is counted from
// the filter's own start, so that a filter means the same wherever it lies.

// A target's samples by their stored index: weights at 4-byte words `at`, `at` + 1, … from the
// filter's start, f32 or int32. No samples where no picture is.
struct PreprocessTaps {
  int32_t first = 0, count = 0, at = 0;
};

// kDownTile targets down the stored rows. Fragments: steps of kRowStep rows from `first` on, each
// the A operand (target, row) of mma.m16n8k16 in f16, 16 bytes a lane.
struct PreprocessDownTile {
  int32_t first = 0, rows = 0;  // source rows under the tile
  uint32_t fragments = 0;       // bytes
  int32_t unused = 0;
  float sums[kDownTile] = {};  // of each target's weights, as rounded
};

// kAcrossTile targets along the stored rows, of one component. Fragments: for each group of
// kColumnGroup columns (bytes or words of a row, whatever component they belong to) the B operand
// (column, target), 8 bytes a lane.
struct PreprocessAcrossTile {
  int32_t first = 0, count = 0;  // groups under the tile
  uint32_t fragments = 0;        // bytes
  int32_t unused = 0;
};

// Of the exact path the records are the same, for kDownTile targets both ways; h and l are the
// digits of a fixed-point weight, (h << kFixedDigitBits) + l. Down: for a step of rows four B
// operands (row, target), targets 0-7 in h and l, then 8-15. Across: groups are of kColumnGroup
// pixels; for each two A operands (target, pixel), h and l.
inline constexpr int kFixedDigitBits = 11;

// --- frames --------------------------------------------------------------------------------------

// A component, for the paths that go sample by sample.
struct PreprocessComponent {
  const uint8_t* data = nullptr;   // stored sample (0, 0), in device memory
  int64_t step_x = 0, step_y = 0;  // bytes from sample to sample along the upright X and Y
  uint32_t taps_x = 0, taps_y = 0;
};

// The components that lie in the same rows, for tensor cores: packed pixels, two interleaved chroma
// components or a plane of one.
struct PreprocessRows {
  const uint8_t* data = nullptr;
  int64_t row_stride = 0;
  int32_t row_bytes = 0;   // to the end of the last sample
  int32_t copy_bytes = 0;  // 16 or 4, of which address and stride are multiples; else 1
  uint32_t down = 0;
  uint32_t across[3] = {};   // by component of the frame; 0 = not in these rows
  int32_t offset[3] = {};    // bytes from `data`
  int32_t pixel_stride = 0;  // kExact: bytes
};

struct PreprocessFrame {
  int32_t first_block = 0;  // the frame's blocks follow one another
  PreprocessPath path = PreprocessPath::kRealTaps;
  int32_t blocks_across = 0;                               // of the frame; tiles in reading order
  int32_t begin_x = 0, end_x = 0, begin_y = 0, end_y = 0;  // targets that show the picture
  int32_t components = 0;                                  // 1 for gray, else 3
  int32_t yuv = 0;
  int32_t swap = 0;  // targets down the stored rows are along the upright X
  int32_t bytes_per_sample = 1, shift = 0;
  // RGB in 0..1 of the sample values as color.h has it; for tensor cores of values over the middle.
  float y = 0, rv = 0, gu = 0, gv = 0, bu = 0, zero[3] = {};
  // Tensor cores. What the down pass subtracts per unit of weight; for words of at most 10 bits
  // those that count, after the shift, in both halves; else 0, and value = word * scale - middle.
  float bias = 0;
  // From here, since one operand of a permutation can be in the instruction itself, and that should
  // be the selector; a constant would take its place.
  uint32_t byte_fill = kThousandBytes;
  uint32_t word_mask = 0;
  float word_scale = 0, word_middle = 0;
  int32_t row_sets = 0;
  uint32_t tone_map = 0;  // a ToneMapTable; 0 = none
  int32_t unused[3] = {};
  PreprocessRows rows[3];
  PreprocessComponent component[3];
};

}  // namespace cliptag::cuda
