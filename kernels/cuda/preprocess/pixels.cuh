// The last step of all paths of the preprocessing kernel: the sample values of a target pixel are
// converted to RGB, clamped, normalised, and written to their patch; bars get the fill colour.
#pragma once

#include "kernels/cuda/device/device.cuh"
#include "kernels/cuda/preprocess/table.h"
#include "kernels/shared/tone_map.h"

namespace cliptag::cuda {

template <typename T>
struct PreprocessParams {
  const unsigned char* table = nullptr;  // PreprocessPlan::table() in device memory
  T* out = nullptr;                      // (frames * patches, 3 * patch * patch)
  int64_t out_stride = 0;                // elements
  int frames = 0;
  int frame_blocks = 0;               // thread blocks of every frame if all have the same, else 0
  int used = 0, patch = 0, grid = 0;  // pixels, pixels, patches an edge
  uint32_t patch_inverse = 0;         // PatchInverse(patch)
  int pairs = 0;                      // whether two neighbours in a row can be stored together
  int fragment_bytes = 0;             // of shared memory, before the rings
  float scale[3] = {}, bias[3] = {};  // out = rgb * scale + bias
  float bar[3] = {};                  // the fill colour, normalised
};

// Replaces the division x / patch by (x * PatchInverse(patch)) >> 31, for 0 <= x <
// kMaxPreprocessSize.
constexpr uint32_t PatchInverse(int patch) { return (1u << 31) / static_cast<uint32_t>(patch) + 1; }

template <typename Record>
__device__ __forceinline__ const Record* RecordAt(const unsigned char* table, uint32_t offset) {
  return reinterpret_cast<const Record*>(table + offset);
}

// Writes one frame's part of the output. kToneMap: some frames of the launch are tone-mapped.
template <typename T, bool kToneMap>
struct PixelWriter {
  const PreprocessParams<T>& p;
  const PreprocessFrame& frame;
  T* out;

  __device__ __forceinline__ PixelWriter(const PreprocessParams<T>& params,
                                         const PreprocessFrame& of, int index)
      : p(params),
        frame(of),
        out(params.out + static_cast<int64_t>(index) * p.grid * p.grid * p.out_stride) {}

  // The same for a copy of its frame's description.
  __device__ __forceinline__ PixelWriter(const PixelWriter& other, const PreprocessFrame& of)
      : p(other.p), frame(of), out(other.out) {}

  __device__ __forceinline__ bool InPicture(int x, int y) const {
    return x >= frame.begin_x && x < frame.end_x && y >= frame.begin_y && y < frame.end_y;
  }
  __device__ __forceinline__ int Patch(int x) const {
    return static_cast<int>(static_cast<uint64_t>(x) * p.patch_inverse >> 31);
  }
  __device__ __forceinline__ T* At(int x, int y) const {
    const int patch_x = Patch(x), patch_y = Patch(y);
    return out + static_cast<int64_t>(patch_y * p.grid + patch_x) * p.out_stride +
           (y - patch_y * p.patch) * p.patch + x - patch_x * p.patch;
  }
  // The normalised RGB from the values of components 0, 1, 2, or the colour of bars.
  __device__ __forceinline__ void Finish(int x, int y, const float (&value)[3],
                                         float (&rgb)[3]) const {
    if (frame.yuv != 0) {
      rgb[0] = frame.y * value[0] + (frame.rv * value[2] + frame.zero[0]);
      rgb[1] = frame.y * value[0] + (frame.gu * value[1] + (frame.gv * value[2] + frame.zero[1]));
      rgb[2] = frame.y * value[0] + (frame.bu * value[1] + frame.zero[2]);
    } else {
#pragma unroll
      for (int c = 0; c < 3; ++c) {
        rgb[c] = frame.y * (frame.components == 1 ? value[0] : value[c]) + frame.zero[c];
      }
    }
    const bool picture = InPicture(x, y);
#pragma unroll
    for (int c = 0; c < 3; ++c) rgb[c] = fminf(fmaxf(rgb[c], 0.0f), 1.0f);
    if constexpr (kToneMap) {
      if (frame.tone_map != 0) {
        ToneMapRgb(*RecordAt<ToneMapTable>(p.table, frame.tone_map), rgb[0], rgb[1], rgb[2]);
      }
    }
#pragma unroll
    for (int c = 0; c < 3; ++c) {
      rgb[c] = picture ? rgb[c] * p.scale[c] + p.bias[c] : p.bar[c];
    }
  }
  __device__ __forceinline__ void Write(int x, int y, const float (&value)[3]) const {
    float rgb[3];
    Finish(x, y, value, rgb);
    T* to = At(x, y);
#pragma unroll
    for (int c = 0; c < 3; ++c) to[c * p.patch * p.patch] = FromFloat<T>(rgb[c]);
  }
  // (x, y) and its right neighbour; x is even.
  __device__ __forceinline__ void WritePair(int x, int y, const float (&value)[3],
                                            const float (&right)[3]) const {
    float rgb[3], rgb_right[3];
    Finish(x, y, value, rgb);
    Finish(x + 1, y, right, rgb_right);
    T* to = At(x, y);
#pragma unroll
    for (int c = 0; c < 3; ++c) {
      Store4(to + c * p.patch * p.patch, Pack2<T>(rgb[c], rgb_right[c]));
    }
  }
};

}  // namespace cliptag::cuda
