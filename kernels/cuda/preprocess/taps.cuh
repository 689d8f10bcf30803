// Preprocessing sample by sample: PIL's fixed point for 8-bit RGB and gray, bit for bit up to the
// normalisation, and f32 for frames that tensor cores do not support. A block computes 16 x 16
// target pixels of a frame, two per thread, component by component. It goes through slabs of 32
// upright rows: the weighted sums along X of the slab's samples, for each of the 16 columns, go to
// shared memory; then each thread adds them to its pixels, with their weights along Y. So windows
// of any size work, of one sample or of thousands.
//
// Shared memory: 32 x 17 words. The stride is odd, since lanes run down the rows if the picture is
// rotated by 90 or 270 degrees, so that neighbouring lanes read neighbouring samples there, too.
#pragma once

#include "kernels/cuda/preprocess/pixels.cuh"
#include "kernels/shared/resample.h"

namespace cliptag::cuda {

inline constexpr int kTapsSlab = 32;            // upright rows
inline constexpr int kTapsRow = kTapsTile + 1;  // words from row to row in shared memory
inline constexpr int kTapsPixels = kTapsTile * kTapsTile / kPreprocessThreads;  // of a thread
inline constexpr int kTapsSharedBytes = kTapsSlab * kTapsRow * 4;

// Sums of int32 or f32 products, and the rounding after each pass.
template <bool kFixed>
struct TapsMath;

template <>
struct TapsMath<true> {
  using Number = int32_t;
  static __device__ __forceinline__ Number Zero() { return 1 << (kFixedBits - 1); }
  static __device__ __forceinline__ Number Sample(int word) { return word; }
  static __device__ __forceinline__ Number Round(Number sum) {  // to a byte
    sum >>= kFixedBits;
    return sum < 0 ? 0 : sum > 255 ? 255 : sum;
  }
};

template <>
struct TapsMath<false> {
  using Number = float;
  static __device__ __forceinline__ Number Zero() { return 0; }
  static __device__ __forceinline__ Number Sample(int word) { return static_cast<float>(word); }
  static __device__ __forceinline__ Number Round(Number sum) { return sum; }
};

// Targets [begin, end) of a tile inside the picture, and their source samples.
struct TapsRange {
  int begin, end, first_sample, end_sample;

  __device__ __forceinline__ TapsRange(const PreprocessTaps* taps, int tile, int from, int to) {
    begin = tile > from ? tile : from;
    end = tile + kTapsTile < to ? tile + kTapsTile : to;
    first_sample = end_sample = 0;
    if (begin >= end) return;
    // Windows move in one direction, so the first and the last target have the outermost samples.
    const PreprocessTaps one = taps[begin], other = taps[end - 1];
    const int one_end = one.first + one.count, other_end = other.first + other.count;
    first_sample = one.first < other.first ? one.first : other.first;
    end_sample = one_end > other_end ? one_end : other_end;
  }
};

template <bool kFixed>
struct TapsTile {
  using Math = TapsMath<kFixed>;
  using Number = typename Math::Number;

  const unsigned char* table;
  const PreprocessFrame& frame;
  int tile_x, tile_y;
  Number* slab;  // shared: (kTapsSlab, kTapsRow)

  // The weighted sum along X of one row.
  __device__ __forceinline__ Number SumAlong(const PreprocessComponent& component, int x,
                                             int row) const {
    const auto taps = RecordAt<PreprocessTaps>(table, component.taps_x)[x];
    const Number* weights = RecordAt<Number>(table, component.taps_x) + taps.at;
    const uint8_t* from = component.data + row * component.step_y + taps.first * component.step_x;
    Number sum = Math::Zero();
    for (int i = 0; i < taps.count; ++i, from += component.step_x) {
      int word = from[0];
      if (frame.bytes_per_sample == 2) word |= from[1] << 8;
      sum += Math::Sample(word >> frame.shift) * weights[i];
    }
    return Math::Round(sum);
  }

  // Values of one component at this thread's pixels; zero outside the picture.
  __device__ __forceinline__ void Resample(const PreprocessComponent& component,
                                           float (&value)[kTapsPixels]) const {
    const auto* taps_x = RecordAt<PreprocessTaps>(table, component.taps_x);
    const auto* taps_y = RecordAt<PreprocessTaps>(table, component.taps_y);
    const Number* weights = RecordAt<Number>(table, component.taps_y);
    const TapsRange across(taps_x, tile_x, frame.begin_x, frame.end_x);
    const TapsRange down(taps_y, tile_y, frame.begin_y, frame.end_y);
    const int thread = static_cast<int>(threadIdx.x), x = thread % kTapsTile;
    PreprocessTaps taps[kTapsPixels];
    Number sum[kTapsPixels];
#pragma unroll
    for (int i = 0; i < kTapsPixels; ++i) {
      const int y = tile_y + thread / kTapsTile + i * (kTapsTile / kTapsPixels);
      const bool shown = y >= down.begin && y < down.end;
      taps[i] = shown ? taps_y[y] : PreprocessTaps{};
      sum[i] = Math::Zero();
    }
    if (across.begin >= across.end) return;  // the whole block
    for (int first = down.first_sample; first < down.end_sample; first += kTapsSlab) {
      const int last = down.end_sample - first < kTapsSlab ? down.end_sample : first + kTapsSlab;
      for (int i = thread; i < kTapsSlab * kTapsTile; i += kPreprocessThreads) {
        const int row = frame.swap != 0 ? i % kTapsSlab : i / kTapsTile;
        const int column = frame.swap != 0 ? i / kTapsSlab : i % kTapsTile;
        const int target = tile_x + column;
        if (first + row < last && target >= across.begin && target < across.end) {
          slab[row * kTapsRow + column] = SumAlong(component, target, first + row);
        }
      }
      __syncthreads();  // the slab's sums are written
      if (tile_x + x >= across.begin && tile_x + x < across.end) {
#pragma unroll
        for (int i = 0; i < kTapsPixels; ++i) {
          const int begin = taps[i].first > first ? taps[i].first : first;
          const int own_end = taps[i].first + taps[i].count;
          const int end = own_end < last ? own_end : last;
          for (int row = begin; row < end; ++row) {
            sum[i] +=
                slab[(row - first) * kTapsRow + x] * weights[taps[i].at + row - taps[i].first];
          }
        }
      }
      __syncthreads();  // the slab has been read
    }
#pragma unroll
    for (int i = 0; i < kTapsPixels; ++i) value[i] = static_cast<float>(Math::Round(sum[i]));
  }
};

template <bool kFixed, typename Writer>
__device__ __forceinline__ void PreprocessTapsTile(const Writer& writer, int block) {
  const PreprocessFrame& frame = writer.frame;
  const auto& p = writer.p;
  using Tile = TapsTile<kFixed>;
  const Tile tile{p.table, frame, block % frame.blocks_across * kTapsTile,
                  block / frame.blocks_across * kTapsTile,
                  reinterpret_cast<typename Tile::Number*>(DynamicShared())};
  float value[3][kTapsPixels] = {};
#pragma unroll
  for (int c = 0; c < 3; ++c) {
    if (c < frame.components) tile.Resample(frame.component[c], value[c]);
  }
  const int thread = static_cast<int>(threadIdx.x);
#pragma unroll
  for (int i = 0; i < kTapsPixels; ++i) {
    const int x = tile.tile_x + thread % kTapsTile;
    const int y = tile.tile_y + thread / kTapsTile + i * (kTapsTile / kTapsPixels);
    const float pixel[3] = {value[0][i], value[1][i], value[2][i]};
    if (x < p.used && y < p.used) writer.Write(x, y, pixel);
  }
}

}  // namespace cliptag::cuda
