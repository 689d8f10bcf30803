// Preprocessing with tensor cores: two matrix products; the second one takes the result of the
// first from registers. See preprocess.cuh.
#pragma once

#include "kernels/cuda/preprocess/pixels.cuh"

namespace cliptag::cuda {

inline constexpr int kStripBytes = 64;  // of a row, that a warp processes together
inline constexpr int kStageRows = 2 * kRowStep;
inline constexpr int kRingStages = 3;
inline constexpr int kStageBytes = kStageRows * kStripBytes;
inline constexpr int kRingBytes = kRingStages * kStageBytes;  // of a warp
inline constexpr int kValueRow = kWarpAcross + 8;  // f32 from row to row of finished values
static_assert(3 * 8 * kValueRow * 4 <= kRingBytes);

// The offset of byte `at` of a row in a stage. An ldmatrix reads 16 bytes of eight rows at once.
// Against bank conflicts they must be in eight different 16-byte units of the 128 bytes of all
// banks: rows of 64 bytes are swizzled (their four chunks change order every two rows), longer ones
// are padded to an odd number of chunks.
template <int kRow>
__device__ __forceinline__ int InStage(int row, int at) {
  if constexpr (kRow == 64) return row * kRow + (at ^ (row / 2 % 4 * 16));
  static_assert(kRow == 64 || kRow / 16 % 2 == 1);
  return row * kRow + at;
}

// Copies 64 bytes of kRows rows, from address `from` on, to a stage with rows of kRow bytes. Rows
// from `rows` on and bytes from `valid` on are not read. The stage keeps old bytes there, which
// does no harm: any byte is a finite sample, and its weight is 0.
template <int kBytes, int kRows, int kRow>
__device__ __forceinline__ void CopyStage(unsigned char* stage, const uint8_t* from,
                                          int64_t row_stride, int rows, int valid) {
  const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
  constexpr int kRowCopies = kStripBytes / kBytes;
  if constexpr (kBytes == 16) {
    // A lane copies the same bytes of all its rows.
    constexpr int kTurn = kWarpSize / kRowCopies;  // rows; InStage repeats after 8
    static_assert(kTurn % 8 == 0);
    const int row = lane / kRowCopies, at = lane % kRowCopies * kBytes;
    const uint8_t* source = from + row * row_stride + at;
    unsigned char* to = stage + InStage<kRow>(row, at);
    if (rows >= kRows && at + kBytes <= valid) {
#pragma unroll
      for (int r = 0; r < kRows; r += kTurn, source += kTurn * row_stride) {
        CpAsync<kBytes>(to + r * kRow, source);
      }
    } else if (at < valid) {
#pragma unroll 1
      for (int r = 0; r < kRows && row + r < rows; r += kTurn, source += kTurn * row_stride) {
        CpAsync<kBytes>(to + r * kRow, source);
      }
    }
  } else {
#pragma unroll 1
    for (int i = lane; i < kRows * kRowCopies; i += kWarpSize) {
      const int row = i / kRowCopies, at = i % kRowCopies * kBytes;
      if (row >= rows || at >= valid) continue;
      const uint8_t* source = from + row * row_stride + at;
      unsigned char* to = stage + InStage<kRow>(row, at);
      if constexpr (kBytes == 1) {
        *to = *source;
      } else {
        CpAsync<kBytes>(to, source);
      }
    }
  }
}

template <int kRows, int kRow>
__device__ __forceinline__ void CopyStage(int copy_bytes, unsigned char* stage, const uint8_t* from,
                                          int64_t row_stride, int rows, int valid) {
  // A row that ends within a chunk is copied in smaller ones: cp.async can copy a part of a chunk
  // and set the rest to zero, but compute-sanitizer reports a read of the whole chunk.
  const int rest = valid < kStripBytes ? valid : 0;
  if (copy_bytes == 16 && rest % 16 == 0) {
    CopyStage<16, kRows, kRow>(stage, from, row_stride, rows, valid);
  } else if (copy_bytes >= 4 && rest % 4 == 0) {
    CopyStage<4, kRows, kRow>(stage, from, row_stride, rows, valid);
  } else {
    CopyStage<1, kRows, kRow>(stage, from, row_stride, rows, valid);
  }
}

// The stage after this one of a ring.
template <int kStages, int kBytes>
__device__ __forceinline__ int NextStage(int stage) {
  return stage == (kStages - 1) * kBytes ? 0 : stage + kBytes;
}

// Two words as f16: 1024 + sample, or the sample's scaled difference to the middle.
__device__ __forceinline__ uint32_t HalvesOfWords(const PreprocessFrame& frame, uint32_t words) {
  if (frame.word_mask != 0) return (words >> frame.shift & frame.word_mask) | kThousands;
  const auto low = static_cast<float>((words & 0xffff) >> frame.shift);
  const auto high = static_cast<float>(words >> 16 >> frame.shift);
  return Pack2<Half>(low * frame.word_scale - frame.word_middle,
                     high * frame.word_scale - frame.word_middle);
}

// A warp's part of a frame: kDownTile targets down the stored rows by kWarpAcross along them.
template <int kSampleBytes>
struct WarpTile {
  static constexpr int kGroups = kStripBytes / kSampleBytes / kColumnGroup;  // of a strip
  static constexpr int kGroupBytes = GroupBytes(kSampleBytes);
  static constexpr int kFragmentBytes = kWarpSize * 8;  // of a tile and a group
  using DownSums = float[kGroups][2][4];
  using AcrossSums = float[3][kAcrossTiles][4];

  const unsigned char* table;
  const PreprocessFrame& frame;
  int tile_down, tile_across;  // the first of kAcrossTiles
  int tiles_across;            // of the whole edge
  unsigned char* ring;         // shared

  // The groups of columns under this warp's targets; each lane checks one tile of one component.
  __device__ __forceinline__ void FindGroups(const PreprocessRows& rows, int& first,
                                             int& end) const {
    const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
    const int c = lane / kAcrossTiles, n = tile_across + lane % kAcrossTiles;
    constexpr int kNone = 1 << 30;
    int lowest = kNone, highest = 0;
    if (c < 3 && n < tiles_across && rows.across[c] != 0) {
      const PreprocessAcrossTile& tile = RecordAt<PreprocessAcrossTile>(table, rows.across[c])[n];
      if (tile.count != 0) {
        lowest = tile.first;
        highest = tile.first + tile.count;
      }
    }
#pragma unroll
    for (int lanes = kWarpSize / 2; lanes > 0; lanes /= 2) {
      const int low = __shfl_xor_sync(kAllLanes, lowest, lanes);
      const int high = __shfl_xor_sync(kAllLanes, highest, lanes);
      lowest = low < lowest ? low : lowest;
      highest = high > highest ? high : highest;
    }
    first = highest == 0 ? 0 : lowest;
    end = highest;
  }

  // sum (target down, column) += weights (target down, row) times samples (row, column), for
  // kRowStep rows of a stage; `rows` points to a row that is a multiple of eight.
  __device__ __forceinline__ void MultiplyDown(const unsigned char* rows, uint4 fragment,
                                               uint32_t byte_fill, DownSums& sum) const {
    const uint32_t a[4] = {fragment.x, fragment.y, fragment.z, fragment.w};
    const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
#pragma unroll
    for (int half = 0; half < 2; ++half) {  // of the strip: 32 bytes
      uint32_t r[4];
      LdMatrixX4Trans(r, rows + InStage<kStripBytes>(lane % 16, half * 32 + lane / 16 * 16));
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        if constexpr (kSampleBytes == 1) {
          Mma16816<Half>(sum[2 * half + i][0], a, BytePermute(r[2 * i], byte_fill, 0x4240),
                         BytePermute(r[2 * i + 1], byte_fill, 0x4240));
          Mma16816<Half>(sum[2 * half + i][1], a, BytePermute(r[2 * i], byte_fill, 0x4341),
                         BytePermute(r[2 * i + 1], byte_fill, 0x4341));
        } else {
          Mma16816<Half>(sum[half][i], a, HalvesOfWords(frame, r[2 * i]),
                         HalvesOfWords(frame, r[2 * i + 1]));
        }
      }
    }
  }

  // out (target down, target across) += sum (target down, column) times weights (column, target).
  __device__ __forceinline__ void MultiplyAcross(const uint32_t (&filters)[3], int first_group,
                                                 const DownSums& sum, AcrossSums& out) const {
    const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
    uint32_t a[kGroups][4];
#pragma unroll
    for (int g = 0; g < kGroups; ++g) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        a[g][i] = Pack2<Half>(sum[g][i / 2][i % 2 * 2], sum[g][i / 2][i % 2 * 2 + 1]);
      }
    }
    // All tiles together, with zero weights for groups outside a tile: cheaper than a branch per
    // tile, which would delay the loads and products of the next one.
#pragma unroll
    for (int c = 0; c < 3; ++c) {
      if (filters[c] == 0) continue;
      const unsigned char* filter = table + filters[c];
      uint4 tile[kAcrossTiles];
#pragma unroll
      for (int n = 0; n < kAcrossTiles; ++n) {
        const bool there = tile_across + n < tiles_across;
        tile[n] = there ? Load16(RecordAt<PreprocessAcrossTile>(filter, 0) + tile_across + n)
                        : make_uint4(0, 0, 0, 0);
      }
#pragma unroll
      for (int g = 0; g < kGroups; ++g) {
        uint2 b[kAcrossTiles];
#pragma unroll
        for (int n = 0; n < kAcrossTiles; ++n) {
          const int group = first_group + g - static_cast<int>(tile[n].x);
          const bool has = group >= 0 && group < static_cast<int>(tile[n].y);
          b[n] = has ? Load8(filter +
                             (static_cast<int>(tile[n].z) + lane * 8 + group * kFragmentBytes))
                     : make_uint2(0, 0);
        }
#pragma unroll
        for (int n = 0; n < kAcrossTiles; ++n) {
          Mma16816<Half>(out[c][n], a[g], b[n].x, b[n].y);
        }
      }
    }
  }

  // Adds the contribution of one set of rows. `fragments`: of its down filter, in shared memory.
  __device__ __forceinline__ void AddRows(const PreprocessRows& rows, const uint4* fragments,
                                          AcrossSums& out) const {
    const auto& down = RecordAt<PreprocessDownTile>(table, rows.down)[tile_down];
    int first_group, end_group;
    FindGroups(rows, first_group, end_group);
    const int down_rows = down.rows, stages = (down_rows + kStageRows - 1) / kStageRows;
    const int total = (end_group - first_group + kGroups - 1) / kGroups * stages;
    if (total == 0) return;  // bars
    // Copies in registers: memory would be read again after every asynchronous copy.
    const int64_t row_stride = rows.row_stride;
    const int copy_bytes = rows.copy_bytes;
    const int end_byte =
        end_group * kGroupBytes < rows.row_bytes ? end_group * kGroupBytes : rows.row_bytes;
    const uint8_t* corner = rows.data + down.first * row_stride;
    const int64_t stage_stride = kStageRows * row_stride;
    int copy = 0, copy_row = 0, copy_byte = first_group * kGroupBytes, copy_stage = 0;
    // The source address, computed but not used: without it ptxas 13.0 spills on sm_120, and if the
    // copy used it, on sm_80 to sm_90 (tests/cuda/compile_check).
    const uint8_t* from = corner + copy_byte;
    const auto start_copy = [&] {
      if (copy < total) {
        CopyStage<kStageRows, kStripBytes>(copy_bytes, ring + copy_stage,
                                           corner + copy_row * row_stride + copy_byte, row_stride,
                                           down_rows - copy_row, end_byte - copy_byte);
        copy_stage = NextStage<kRingStages, kStageBytes>(copy_stage);
        ++copy;
        copy_row += kStageRows;
        from += stage_stride;
        if (copy_row >= down_rows) {
          copy_row = 0;
          copy_byte += kStripBytes;
          from = corner + copy_byte;
        }
      }
      CpAsyncCommit();  // an empty group, too, so that the waits below count right
    };

    const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
    const float zero[2] = {-frame.bias * down.sums[lane / 4],
                           -frame.bias * down.sums[lane / 4 + 8]};
    const uint32_t byte_fill = frame.byte_fill;
    const uint32_t filters[3] = {rows.across[0], rows.across[1], rows.across[2]};
    DownSums sum;
    const auto clear = [&] {
#pragma unroll
      for (int g = 0; g < kGroups; ++g) {
#pragma unroll
        for (int r = 0; r < 8; ++r) sum[g][r / 4][r % 4] = zero[r % 4 / 2];
      }
    };
    clear();
    int row = 0, stage = 0;
    for (int i = 1 - kRingStages; i < total; ++i) {
      CpAsyncWait<kRingStages - 2>();
      __syncwarp();  // all lanes' parts of stage i have arrived; stage i - 1 has been read
      start_copy();
      if (i < 0) continue;  // filling the ring
      const uint4* fragment = fragments + row / kRowStep * kWarpSize + lane;
      MultiplyDown(ring + stage, fragment[0], byte_fill, sum);
      row += kRowStep;
      if (row < down_rows) {
        MultiplyDown(ring + stage + kRowStep * kStripBytes, fragment[kWarpSize], byte_fill, sum);
        row += kRowStep;
      }
      stage = NextStage<kRingStages, kStageBytes>(stage);
      if (row >= down_rows) {
        MultiplyAcross(filters, first_group, sum, out);
        clear();
        row = 0;
        first_group += kGroups;
      }
    }
    CpAsyncWait<0>();
    __syncwarp();  // the ring is free
  }

  // Through the ring in shared memory, eight targets down at a time: so neighbouring lanes write
  // neighbouring pixels, and the loop over pixels need not be unrolled over registers.
  template <typename Writer>
  __device__ __forceinline__ void Write(const Writer& writer_of_all, const AcrossSums& out) const {
    const int lane = static_cast<int>(threadIdx.x) % kWarpSize, used = writer_of_all.p.used;
    auto* values = reinterpret_cast<float*>(ring);  // (3, 8, kValueRow)
    // A copy in registers: memory would be read again after every written pixel.
    const PreprocessFrame own = frame;
    const Writer writer(writer_of_all, own);
    const int across = tile_across * kAcrossTile;
#pragma unroll
    for (int h = 0; h < 2; ++h) {
#pragma unroll
      for (int c = 0; c < 3; ++c) {
#pragma unroll
        for (int n = 0; n < kAcrossTiles; ++n) {
          float* to = values + (c * 8 + lane / 4) * kValueRow + n * kAcrossTile + lane % 4 * 2;
          *reinterpret_cast<float2*>(to) = make_float2(out[c][n][2 * h], out[c][n][2 * h + 1]);
        }
      }
      __syncwarp();  // the values are written
      const int down = tile_down * kDownTile + 8 * h;
      const auto load = [&](int row, int column, float(&value)[3]) {
#pragma unroll
        for (int c = 0; c < 3; ++c) value[c] = values[(c * 8 + row) * kValueRow + column];
      };
      if (own.swap == 0 && writer.p.pairs != 0) {
#pragma unroll 1
        for (int i = lane; i < 8 * kWarpAcross / 2; i += kWarpSize) {
          const int row = i / (kWarpAcross / 2), column = i % (kWarpAcross / 2) * 2;
          if (across + column >= used || down + row >= used) continue;
          float one[3], next[3];
          load(row, column, one);
          load(row, column + 1, next);
          writer.WritePair(across + column, down + row, one, next);
        }
      } else {
#pragma unroll 1
        for (int i = lane; i < 8 * kWarpAcross; i += kWarpSize) {
          const int row = own.swap != 0 ? i % 8 : i / kWarpAcross;
          const int column = own.swap != 0 ? i / 8 : i % kWarpAcross;
          if (across + column >= used || down + row >= used) continue;
          float one[3];
          load(row, column, one);
          writer.Write(own.swap != 0 ? down + row : across + column,
                       own.swap != 0 ? across + column : down + row, one);
        }
      }
      __syncwarp();  // the values have been read
    }
  }
};

// Copies the down filters' fragments of all sets of rows to shared memory, one after the other.
__device__ __forceinline__ void LoadDownFragments(const unsigned char* table,
                                                  const PreprocessFrame& frame, int tile_down,
                                                  uint4* shared) {
  for (int s = 0; s < frame.row_sets; ++s) {
    const unsigned char* filter = table + frame.rows[s].down;
    const auto& down = RecordAt<PreprocessDownTile>(filter, 0)[tile_down];
    const int count = (down.rows + kRowStep - 1) / kRowStep * kWarpSize;
    for (int i = static_cast<int>(threadIdx.x); i < count; i += kPreprocessThreads) {
      shared[i] = Load16(filter + down.fragments + i * 16);
    }
    shared += count;
  }
  __syncthreads();  // all fragments are written
}

template <int kSampleBytes, typename Writer>
__device__ __forceinline__ void PreprocessTensorTile(const Writer& writer, int block) {
  const PreprocessFrame& frame = writer.frame;
  const auto& p = writer.p;
  const int warp = static_cast<int>(threadIdx.x) / kWarpSize;
  const int tile_down = block / frame.blocks_across;
  auto* fragments = reinterpret_cast<uint4*>(DynamicShared());
  LoadDownFragments(p.table, frame, tile_down, fragments);
  const WarpTile<kSampleBytes> tile{
      p.table,
      frame,
      tile_down,
      (block % frame.blocks_across * kPreprocessWarps + warp) * kAcrossTiles,
      (p.used + kAcrossTile - 1) / kAcrossTile,
      DynamicShared() + p.fragment_bytes + warp * kRingBytes};
  if (tile.tile_across >= tile.tiles_across) return;  // a whole warp
  typename WarpTile<kSampleBytes>::AcrossSums out = {};
  for (int s = 0; s < frame.row_sets; ++s) {
    const PreprocessRows& rows = frame.rows[s];
    tile.AddRows(rows, fragments, out);
    const int down_rows = RecordAt<PreprocessDownTile>(p.table, rows.down)[tile_down].rows;
    fragments += (down_rows + kRowStep - 1) / kRowStep * kWarpSize;
  }
  tile.Write(writer, out);
}

}  // namespace cliptag::cuda
