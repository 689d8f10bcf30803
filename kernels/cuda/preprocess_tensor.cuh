// Preprocessing with tensor cores: two matrix products, of which the second takes the first's
// result from its registers. See preprocess.cuh.
#pragma once

#include "kernels/cuda/preprocess_pixels.cuh"

namespace cliptag::cuda {

// 1024 as f16 in both halves; its upper byte. A byte below that makes 1024 + byte.
inline constexpr uint32_t kThousands = 0x64006400u, kThousandBytes = 0x64646464u;
inline constexpr int kStripBytes = 64;  // of a row, that a warp works on together
inline constexpr int kStripRow = 80;    // bytes from row to row in shared memory
inline constexpr int kRingStages = 5;
inline constexpr int kStageBytes = kRowStep * kStripRow;
inline constexpr int kRingBytes = kRingStages * kStageBytes;  // of a warp
inline constexpr int kValueRow = kWarpAcross + 8;  // f32 from row to row of finished values
static_assert(3 * 8 * kValueRow * 4 <= kRingBytes);

// Copies a stage's rows from memory, from column byte `from` on; bytes from `valid` on and rows
// that do not exist become zero, without being read.
template <int kBytes>
__device__ __forceinline__ void CopyStage(unsigned char* stage, const uint8_t* from,
                                          int64_t row_stride, int rows, int valid) {
  const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
  constexpr int kRowCopies = kStripBytes / kBytes;
#pragma unroll(kBytes == 16 ? 2 : 1)
  for (int i = 0; i < kRowStep * kRowCopies; i += kWarpSize) {
    const int row = (i + lane) / kRowCopies, at = (i + lane) % kRowCopies * kBytes;
    int bytes = row < rows ? valid - at : 0;
    bytes = bytes < 0 ? 0 : bytes < kBytes ? bytes : kBytes;
    const uint8_t* source = from + row * row_stride + at;
    unsigned char* to = stage + row * kStripRow + at;
    if constexpr (kBytes == 1) {
      *to = bytes != 0 ? *source : 0;
    } else {
      CpAsync<kBytes>(to, bytes != 0 ? source : from, bytes);
    }
  }
}

__device__ __forceinline__ void CopyStage(int copy_bytes, unsigned char* stage, const uint8_t* from,
                                          int64_t row_stride, int rows, int valid) {
  if (copy_bytes == 16) {
    CopyStage<16>(stage, from, row_stride, rows, valid);
  } else if (copy_bytes == 4) {
    CopyStage<4>(stage, from, row_stride, rows, valid);
  } else {
    CopyStage<1>(stage, from, row_stride, rows, valid);
  }
}

// Two words as f16: 1024 + sample, or the sample's offset from the middle.
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
  using DownSums = float[kGroups][2][4];
  using AcrossSums = float[3][kAcrossTiles][4];

  const unsigned char* table;
  const PreprocessFrame& frame;
  int tile_down, tile_across;  // the first of kAcrossTiles
  int tiles_across;            // of the whole edge
  unsigned char* ring;         // shared

  // The groups of columns under this warp's targets.
  __device__ __forceinline__ void FindGroups(const PreprocessRows& rows, int& first,
                                             int& end) const {
    first = 0;
    end = 0;
    for (int c = 0; c < 3; ++c) {
      if (rows.across[c] == 0) continue;
      const auto* tiles = RecordAt<PreprocessAcrossTile>(table, rows.across[c]);
      for (int n = tile_across; n < tile_across + kAcrossTiles && n < tiles_across; ++n) {
        if (tiles[n].count == 0) continue;
        if (end == 0 || tiles[n].first < first) first = tiles[n].first;
        if (tiles[n].first + tiles[n].count > end) end = tiles[n].first + tiles[n].count;
      }
    }
  }

  // sum (target down, column) += weights (target down, row) times a stage's (row, column).
  __device__ __forceinline__ void MultiplyDown(const unsigned char* stage, uint4 fragment,
                                               DownSums& sum) const {
    const uint32_t a[4] = {fragment.x, fragment.y, fragment.z, fragment.w};
    const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
#pragma unroll
    for (int half = 0; half < 2; ++half) {  // of the strip: 32 bytes
      uint32_t r[4];
      LdMatrixX4Trans(r, stage + lane % 16 * kStripRow + half * 32 + lane / 16 * 16);
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        if constexpr (kSampleBytes == 1) {
          Mma16816<Half>(sum[2 * half + i][0], a, BytePermute(r[2 * i], kThousandBytes, 0x4240),
                         BytePermute(r[2 * i + 1], kThousandBytes, 0x4240));
          Mma16816<Half>(sum[2 * half + i][1], a, BytePermute(r[2 * i], kThousandBytes, 0x4341),
                         BytePermute(r[2 * i + 1], kThousandBytes, 0x4341));
        } else {
          Mma16816<Half>(sum[half][i], a, HalvesOfWords(frame, r[2 * i]),
                         HalvesOfWords(frame, r[2 * i + 1]));
        }
      }
    }
  }

  // out (target down, target across) += sum (target down, column) times weights (column, target).
  __device__ __forceinline__ void MultiplyAcross(const PreprocessRows& rows, int first_group,
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
#pragma unroll
    for (int c = 0; c < 3; ++c) {
      if (rows.across[c] == 0) continue;
      const unsigned char* filter = table + rows.across[c];
#pragma unroll
      for (int n = 0; n < kAcrossTiles; ++n) {
        if (tile_across + n >= tiles_across) continue;
        const auto* tile = RecordAt<PreprocessAcrossTile>(filter, 0) + tile_across + n;
        const int before = first_group - tile->first;
        const unsigned char* fragments = filter + tile->fragments + lane * 8;
#pragma unroll
        for (int g = 0; g < kGroups; ++g) {
          const int group = before + g;
          if (group < 0 || group >= tile->count) continue;  // the same for all lanes
          const uint2 b = Load8(fragments + group * kWarpSize * 8);
          Mma16816<Half>(out[c][n], a[g], b.x, b.y);
        }
      }
    }
  }

  // What one set of rows gives. `fragments`: of its down filter, in shared memory.
  __device__ __forceinline__ void AddRows(const PreprocessRows& rows, const uint4* fragments,
                                          AcrossSums& out) const {
    const auto& down = RecordAt<PreprocessDownTile>(table, rows.down)[tile_down];
    int first_group, end_group;
    FindGroups(rows, first_group, end_group);
    const int down_rows = down.rows, steps = (down_rows + kRowStep - 1) / kRowStep;
    const int total = (end_group - first_group + kGroups - 1) / kGroups * steps;
    if (total == 0) return;  // bars
    // In registers: what is in memory would be read again after every asynchronous copy.
    const int64_t row_stride = rows.row_stride;
    const int copy_bytes = rows.copy_bytes;
    const int end_byte =
        end_group * kGroupBytes < rows.row_bytes ? end_group * kGroupBytes : rows.row_bytes;
    const uint8_t* corner = rows.data + down.first * row_stride;
    int copy = 0, copy_row = 0, copy_byte = first_group * kGroupBytes;
    const auto start_copy = [&] {
      if (copy < total) {
        unsigned char* stage = ring + copy % kRingStages * kStageBytes;
        const uint8_t* from = corner + copy_row * row_stride + copy_byte;
        const int left = down_rows - copy_row, valid = end_byte - copy_byte;
        CopyStage(copy_bytes, stage, from, row_stride, left, valid);
        ++copy;
        copy_row += kRowStep;
        if (copy_row >= down_rows) {
          copy_row = 0;
          copy_byte += kStripBytes;
        }
      }
      CpAsyncCommit();  // also an empty group, so that the waits below count right
    };

    const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
    const float zero[2] = {-frame.bias * down.sums[lane / 4],
                           -frame.bias * down.sums[lane / 4 + 8]};
    DownSums sum;
    int step = 0;
    for (int i = 1 - kRingStages; i < total; ++i) {
      CpAsyncWait<kRingStages - 2>();
      __syncwarp();  // all lanes' part of stage i is there; nobody reads stage i - 1 any more
      start_copy();
      if (i < 0) continue;  // filling the ring
      if (step == 0) {
#pragma unroll
        for (int g = 0; g < kGroups; ++g) {
#pragma unroll
          for (int r = 0; r < 8; ++r) sum[g][r / 4][r % 4] = zero[r % 4 / 2];
        }
      }
      MultiplyDown(ring + i % kRingStages * kStageBytes, fragments[step * kWarpSize + lane], sum);
      if (++step == steps) {
        MultiplyAcross(rows, first_group, sum, out);
        step = 0;
        first_group += kGroups;
      }
    }
    CpAsyncWait<0>();
    __syncwarp();  // the ring is free
  }

  // By way of the ring, eight targets down at a time: so neighbouring lanes write neighbouring
  // pixels, and the loop over pixels need not be unrolled over registers.
  template <typename T>
  __device__ __forceinline__ void Write(const PixelWriter<T>& writer, const AcrossSums& out) const {
    const int lane = static_cast<int>(threadIdx.x) % kWarpSize, used = writer.p.used;
    auto* values = reinterpret_cast<float*>(ring);  // (3, 8, kValueRow)
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
      __syncwarp();  // the values are there
      const int down = tile_down * kDownTile + 8 * h;
      const auto load = [&](int row, int column, float(&value)[3]) {
#pragma unroll
        for (int c = 0; c < 3; ++c) value[c] = values[(c * 8 + row) * kValueRow + column];
      };
      if (frame.swap == 0 && writer.p.pairs != 0) {
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
          const int row = frame.swap != 0 ? i % 8 : i / kWarpAcross;
          const int column = frame.swap != 0 ? i / 8 : i % kWarpAcross;
          if (across + column >= used || down + row >= used) continue;
          float one[3];
          load(row, column, one);
          writer.Write(frame.swap != 0 ? down + row : across + column,
                       frame.swap != 0 ? across + column : down + row, one);
        }
      }
      __syncwarp();  // nobody reads the values any more
    }
  }
};

// The down filters' fragments of all sets of rows, one after the other; where the ones of a set
// end.
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
  __syncthreads();  // all fragments are there
}

template <int kSampleBytes, typename T>
__device__ __forceinline__ void PreprocessTensorTile(const PixelWriter<T>& writer, int block) {
  const PreprocessFrame& frame = writer.frame;
  const PreprocessParams<T>& p = writer.p;
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
