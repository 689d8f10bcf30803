// The table that the preprocessing kernel reads, besides the pixels: a block of bytes that the host
// copies to the device once per batch. First the descriptions of all frames, then the filters of
// their axes, which frames of equal geometry share. A description refers to a filter by its offset
// in bytes from the start of the table. Plain data, for host and device code alike.
#pragma once

#include <cstdint>

namespace cliptag::cuda {

// Targets of a warp with tensor cores, down and across, and of a block.
inline constexpr int kPreprocessWarps = 4;
inline constexpr int kPreprocessThreads = 32 * kPreprocessWarps;
inline constexpr int kDownTile = 16;
inline constexpr int kAcrossTile = 8;
inline constexpr int kAcrossTiles = 4;                          // of a warp
inline constexpr int kWarpAcross = kAcrossTile * kAcrossTiles;  // targets
inline constexpr int kBlockAcross = kWarpAcross * kPreprocessWarps;
inline constexpr int kRowStep = 16;      // source rows of a matrix product
inline constexpr int kColumnGroup = 16;  // source columns of one: kernels/cuda/preprocess/rows.h
inline constexpr int kStepFragmentBytes = 512;  // of a down filter, for a step of rows
constexpr int GroupBytes(int column_bytes) { return kColumnGroup * column_bytes; }
// Shared memory for the fragments of all of a frame's rows. A frame that needs more (more than some
// 20 samples per target) does not use tensor cores.
inline constexpr int kMaxFragmentBytes = 46 * kStepFragmentBytes;
// The model's input must be smaller than this, in pixels.
inline constexpr int kMaxPreprocessSize = 1 << 15;
// Target pixels of a block, both ways, on the paths with taps.
inline constexpr int kTapsTile = 16;

// kThousands: 1024 as f16 (0x6400) in both halves. 0x64nn is 1024 + nn: so a byte nn becomes an f16
// when a byte 0x64 of kThousandBytes is put above it.
inline constexpr uint32_t kThousands = 0x64006400u, kThousandBytes = 0x64646464u;

enum class PreprocessPath : int32_t {
  kFixedTaps,  // 8-bit RGB and gray: PIL's fixed point, X first
  kRealTaps,   // f32, for frames that no other path supports
  kTensor,     // tensor cores
  kExact,      // tensor cores, PIL's fixed point
};

// --- filters -------------------------------------------------------------------------------------
// Each starts with a record per target or per tile of targets. Offsets in a record count from the
// start of the filter, so that it can be anywhere in the table.

// The samples of a target by their stored index; the weights, f32 or int32, are the 4-byte words
// `at`, `at` + 1, … of the filter. No samples outside the picture.
struct PreprocessTaps {
  int32_t first = 0, count = 0, at = 0;
};

// kDownTile targets down the stored rows. Fragments: for each step of kRowStep rows from `first` on
// the A operand (target, row) of mma.m16n8k16 in f16, 16 bytes a lane.
struct PreprocessDownTile {
  int32_t first = 0, rows = 0;  // source rows under the tile
  uint32_t fragments = 0;       // bytes
  int32_t unused = 0;
  float sums[kDownTile] = {};  // of each target's rounded weights
};

// kAcrossTile targets along the stored rows, of one component. Fragments: for each group of
// kColumnGroup columns (bytes or words of a row, of any component) the B operand (column, target),
// 8 bytes a lane.
struct PreprocessAcrossTile {
  int32_t first = 0, count = 0;  // groups under the tile
  uint32_t fragments = 0;        // bytes
  int32_t unused = 0;
};

// The exact path has the same records, for kDownTile targets both ways. h and l are the digits of a
// fixed-point weight: (h << kFixedDigitBits) + l. Down: four B operands (row, target) for a step of
// rows, targets 0-7 in h and in l, then 8-15. Across: two A operands (target, pixel), h and l, for
// each group of kColumnGroup pixels.
inline constexpr int kFixedDigitBits = 11;

// --- frames --------------------------------------------------------------------------------------

// A component, for the paths with taps.
struct PreprocessComponent {
  const uint8_t* data = nullptr;   // stored sample (0, 0), in device memory
  int64_t step_x = 0, step_y = 0;  // bytes from sample to sample along the upright X and Y
  uint32_t taps_x = 0, taps_y = 0;
};

// The components in the same rows, for tensor cores: packed pixels, two interleaved chroma
// components, or a single plane.
struct PreprocessRows {
  const uint8_t* data = nullptr;
  int64_t row_stride = 0;
  int32_t row_bytes = 0;   // to the end of the last sample
  int32_t copy_bytes = 0;  // 16 or 4 if address and stride are multiples of it, else 1
  uint32_t down = 0;
  uint32_t across[3] = {};   // by component of the frame; 0 = not in these rows
  int32_t offset[3] = {};    // bytes from `data`
  int32_t pixel_stride = 0;  // kExact: bytes
};

struct PreprocessFrame {
  int32_t first_block = 0;  // the frame's blocks are consecutive
  PreprocessPath path = PreprocessPath::kRealTaps;
  int32_t blocks_across = 0;                               // of the frame; tiles in reading order
  int32_t begin_x = 0, end_x = 0, begin_y = 0, end_y = 0;  // targets inside the picture
  int32_t components = 0;                                  // 1 for gray, else 3
  int32_t yuv = 0;
  int32_t swap = 0;  // targets down the stored rows are along the upright X
  int32_t bytes_per_sample = 1, shift = 0;
  // The colour conversion to RGB in 0..1, as in color.h; with tensor cores of values relative to
  // the middle.
  float y = 0, rv = 0, gu = 0, gv = 0, bu = 0, zero[3] = {};
  // Tensor cores: what the down pass subtracts per unit of weight.
  float bias = 0;
  // Always kThousandBytes, an operand of the byte permutation (PRMT) that makes f16 of bytes. It is
  // read from here, so that it is in a register: PRMT can have one immediate operand, and that
  // should be the selector. If this were a constant, the compiler might make it the immediate, and
  // the selector would take the register and an instruction to load it.
  uint32_t byte_fill = kThousandBytes;
  // Tensor cores, 16-bit words: with at most 10 bits the mask of a sample after the shift, in both
  // halves; else 0, and the value is word * word_scale - word_middle.
  uint32_t word_mask = 0;
  float word_scale = 0, word_middle = 0;
  int32_t row_sets = 0;
  uint32_t tone_map = 0;  // offset of a ToneMapTable; 0 = none
  int32_t unused[3] = {};
  PreprocessRows rows[3];
  PreprocessComponent component[3];
};

}  // namespace cliptag::cuda
