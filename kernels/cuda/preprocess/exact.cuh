// 8-bit RGB and gray with tensor cores, bit for bit as PIL's fixed point: X first, each sum rounded
// and clamped to 8 bits, then Y. For pictures whose upright rows are stored rows: gray, or packed
// RGB of 3 or 4 bytes; kernels/cuda/preprocess/taps.cuh has the others.
//
// A weight of 22 bits is 2,048 h + l with integers h and l of at most 2,048, which f16 represents
// exactly. So it does bytes: 0x64nn is 1024 + nn, from which 1024 is subtracted. (0x00nn, the
// subnormal nn times 2^-24, would be exact, too, with one instruction less, but mma's handling of
// subnormals is unspecified.) The sums of products with h, and those with l, are integers below
// 2^24 (the host checks that), so f32 represents every partial sum exactly, in any order, and
// together they give PIL's integer.
//
// A warp computes 16 targets across by 16 down. It goes down in steps of 16 rows, and in a step
// across in groups of 16 pixels, which arrive in its ring as in kernels/cuda/preprocess/tensor.cuh:
//   across  sums (16 targets, 16 rows) += weights (16, 16 pixels) x pixels (16 pixels, 16 rows)
//   down    out  (16 targets, 16 down) += bytes (16, 16 rows) x weights (16 rows, 16 down)
// each for h and l and for each component. Cost, 64 frames of 1080p RGB to 224: 228 MB read, 1.7
// times that from the L2: 70 us; 62 instructions of a warp for a group of 768 bytes: 33 us.
#pragma once

#include "kernels/cuda/preprocess/tensor.cuh"
#include "kernels/shared/resample.h"

namespace cliptag::cuda {

// Two bytes of the four as f16.
__device__ __forceinline__ uint32_t BytesAsHalves(uint32_t bytes, uint32_t fill,
                                                  uint32_t selector) {
  return SubtractHalves(BytePermute(bytes, fill, selector), kThousands);
}

// The byte of the sums with h and with l.
__device__ __forceinline__ uint32_t ExactByte(float high, float low) {
  const int sum =
      (static_cast<int>(high) << kFixedDigitBits) + static_cast<int>(low) + (1 << (kFixedBits - 1));
  const int byte = sum >> kFixedBits;
  return static_cast<uint32_t>(byte < 0 ? 0 : byte > 255 ? 255 : byte);
}

// More stages than in kernels/cuda/preprocess/tensor.cuh, since they are smaller. Rows are padded
// and not swizzled, since lanes read words, not chunks.
inline constexpr int kExactStripRow = 80;  // bytes from row to row in shared memory
inline constexpr int kExactRingStages = 4;
inline constexpr int kExactStageBytes = kRowStep * kExactStripRow;
static_assert(kExactRingStages * kExactStageBytes <= kRingBytes);

template <int kStride>  // bytes from pixel to pixel
struct ExactTile {
  static constexpr int kTiles = 2;  // of 8 rows in a step; of 8 targets down
  static constexpr int kGroupBytes = GroupBytes(kStride);
  static constexpr int kValueRow = kDownTile + 2;
  static constexpr int kMembers = kStride == 1 ? 1 : 3;  // components, by their place in a pixel
  using Sums = float[kMembers][kTiles][2][4];            // [..][..][h, l][..]

  const unsigned char* table;
  const PreprocessFrame& frame;
  int tile_down, tile_across;
  unsigned char* ring;  // shared

  // The bytes at `offset` of this lane's four pixels.
  static __device__ __forceinline__ uint32_t Gather(const uint32_t (&words)[kStride], int offset) {
    if constexpr (kStride == 1) {
      return words[0];
    } else if constexpr (kStride == 4) {
      const auto selector = static_cast<uint32_t>(offset | (offset + 4) << 4);
      return BytePermute(BytePermute(words[0], words[1], selector),
                         BytePermute(words[2], words[3], selector), 0x5410);
    } else {
      // Bytes offset, offset + 3, + 6 and + 9: of the first two words, then of the third.
      const uint32_t two = offset == 0 ? 0x0630u : offset == 1 ? 0x0741u : 0x0052u;
      const uint32_t third = offset == 0 ? 0x5210u : offset == 1 ? 0x6210u : 0x7410u;
      return BytePermute(BytePermute(words[0], words[1], two), words[2], third);
    }
  }

  __device__ __forceinline__ void MultiplyAcross(const unsigned char* stage,
                                                 const unsigned char* fragments, uint32_t byte_fill,
                                                 Sums& sum) const {
    const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
    const uint4 high = Load16(fragments + lane * 16);
    const uint4 low = Load16(fragments + kStepFragmentBytes + lane * 16);
    const uint32_t h[4] = {high.x, high.y, high.z, high.w}, l[4] = {low.x, low.y, low.z, low.w};
#pragma unroll
    for (int i = 0; i < kTiles; ++i) {
      const unsigned char* from =
          stage + (8 * i + lane / 4) * kExactStripRow + lane % 4 * 4 * kStride;
      uint32_t words[kStride];
#pragma unroll
      for (int w = 0; w < kStride; ++w) words[w] = Load4(from + 4 * w);
#pragma unroll
      for (int c = 0; c < kMembers; ++c) {
        const uint32_t bytes = Gather(words, c);
        const uint32_t b0 = BytesAsHalves(bytes, byte_fill, 0x4140),
                       b1 = BytesAsHalves(bytes, byte_fill, 0x4342);
        Mma16816<Half>(sum[c][i][0], h, b0, b1);
        Mma16816<Half>(sum[c][i][1], l, b0, b1);
      }
    }
  }

  __device__ __forceinline__ void MultiplyDown(const unsigned char* fragments, const Sums& sum,
                                               Sums& out) const {
    const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
    uint2 weights[kTiles][2];
#pragma unroll
    for (int i = 0; i < 2 * kTiles; ++i) {
      weights[i / 2][i % 2] = Load8(fragments + (i * kWarpSize + lane) * 8);
    }
#pragma unroll
    for (int c = 0; c < kMembers; ++c) {
      uint32_t a[4];
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const float(&both)[2][4] = sum[c][i / 2];
        const int at = i % 2 * 2;
        const uint32_t left = ExactByte(both[0][at], both[1][at]);
        const uint32_t right = ExactByte(both[0][at + 1], both[1][at + 1]);
        a[i] = SubtractHalves(left | right << 16 | kThousands, kThousands);
      }
#pragma unroll
      for (int i = 0; i < 2 * kTiles; ++i) {
        const uint2 b = weights[i / 2][i % 2];
        Mma16816<Half>(out[c][i / 2][i % 2], a, b.x, b.y);
      }
    }
  }

  __device__ __forceinline__ void AddRows(const PreprocessRows& rows, Sums& out) const {
    const auto& down = RecordAt<PreprocessDownTile>(table, rows.down)[tile_down];
    const unsigned char* down_fragments = table + rows.down + down.fragments;
    const auto& across = RecordAt<PreprocessAcrossTile>(table, rows.across[0])[tile_across];
    const unsigned char* fragments = table + rows.across[0] + across.fragments;
    const int down_rows = down.rows, groups = across.count;
    const int total = (down_rows + kRowStep - 1) / kRowStep * groups;
    if (total == 0) return;  // bars
    const int64_t row_stride = rows.row_stride;
    const uint32_t byte_fill = frame.byte_fill;
    const int copy_bytes = rows.copy_bytes, row_bytes = rows.row_bytes;
    const int first_byte = across.first * kGroupBytes;
    const uint8_t* corner = rows.data + down.first * row_stride + first_byte;
    int copy = 0, copy_row = 0, copy_group = 0;
    Sums sum = {};
    int group = 0;
    for (int i = 1 - kExactRingStages; i < total; ++i) {
      CpAsyncWait<kExactRingStages - 2>();
      __syncwarp();  // all lanes' parts of stage i have arrived; stage i - 1 has been read
      if (copy < total) {
        const int at = copy_group * kGroupBytes, left = row_bytes - first_byte - at;
        CopyStage<kRowStep, kExactStripRow>(
            copy_bytes, ring + copy % kExactRingStages * kExactStageBytes,
            corner + copy_row * row_stride + at, row_stride, down_rows - copy_row,
            left < kGroupBytes ? left : kGroupBytes);
        ++copy;
        if (++copy_group == groups) {
          copy_group = 0;
          copy_row += kRowStep;
        }
      }
      CpAsyncCommit();
      if (i < 0) continue;  // filling the ring
      MultiplyAcross(ring + i % kExactRingStages * kExactStageBytes,
                     fragments + group * 2 * kStepFragmentBytes, byte_fill, sum);
      if (++group == groups) {
        group = 0;
        MultiplyDown(down_fragments, sum, out);
        down_fragments += 2 * kStepFragmentBytes;
#pragma unroll
        for (int r = 0; r < kMembers * kTiles * 8; ++r)
          sum[r / 16][r / 8 % 2][r / 4 % 2][r % 4] = 0;
      }
    }
    CpAsyncWait<0>();
    __syncwarp();  // the ring is free
  }

  template <typename Writer>
  __device__ __forceinline__ void Write(const Writer& writer, const Sums& out) const {
    static_assert(3 * kDownTile * kValueRow * 4 <= kRingBytes);
    const int lane = static_cast<int>(threadIdx.x) % kWarpSize, used = writer.p.used;
    auto* values = reinterpret_cast<float*>(ring);  // (members, 16 down, kValueRow)
#pragma unroll
    for (int r = 0; r < kMembers * kTiles * 4; ++r) {
      const int c = r / 8, i = r / 4 % 2, at = r % 4;
      const int to = 8 * i + lane % 4 * 2 + at % 2, across = lane / 4 + at / 2 * 8;
      values[(c * kDownTile + to) * kValueRow + across] =
          static_cast<float>(ExactByte(out[c][i][0][at], out[c][i][1][at]));
    }
    __syncwarp();  // the values are written
    const int step = writer.p.pairs != 0 ? 2 : 1;
#pragma unroll 1
    for (int i = lane * step; i < kDownTile * kDownTile; i += kWarpSize * step) {
      const int x = tile_across * kDownTile + i % kDownTile;
      const int y = tile_down * kDownTile + i / kDownTile;
      if (x >= used || y >= used) continue;
      float one[3], next[3];
#pragma unroll
      for (int c = 0; c < 3; ++c) {
        const int member = kMembers == 1 ? 0 : frame.rows[0].offset[c];
        const float* from =
            values + (member * kDownTile + i / kDownTile) * kValueRow + i % kDownTile;
        one[c] = from[0];
        next[c] = from[step - 1];
      }
      if (step == 2) {
        writer.WritePair(x, y, one, next);
      } else {
        writer.Write(x, y, one);
      }
    }
  }
};

template <int kStride, typename Writer>
__device__ __forceinline__ void PreprocessExactTile(const Writer& writer, int block) {
  const PreprocessFrame& frame = writer.frame;
  const int warp = static_cast<int>(threadIdx.x) / kWarpSize;
  const ExactTile<kStride> tile{writer.p.table, frame, block / frame.blocks_across,
                                block % frame.blocks_across * kPreprocessWarps + warp,
                                DynamicShared() + writer.p.fragment_bytes + warp * kRingBytes};
  if (tile.tile_across * kDownTile >= writer.p.used) return;  // a whole warp
  typename ExactTile<kStride>::Sums out = {};
  tile.AddRows(frame.rows[0], out);
  tile.Write(writer, out);
}

}  // namespace cliptag::cuda
