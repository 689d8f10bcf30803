// Building blocks of the row-wise kernels: loads and stores of neighbouring columns, eight at a
// time in 16-byte accesses, or one at a time if width, stride or address do not allow that; and
// reductions over a warp or a block.
#pragma once

#include <type_traits>

#include "kernels/cuda/device/device.cuh"

namespace cliptag::cuda {

// Whether rows of T can be accessed eight columns at a time. Host.
template <typename T>
inline bool IsWide(const T* data, int64_t stride, int cols) {
  return data == nullptr || (reinterpret_cast<uintptr_t>(data) % 16 == 0 &&
                             stride * static_cast<int64_t>(sizeof(T)) % 16 == 0 && cols % 8 == 0);
}

// Eight 16-bit values.
template <typename T>
__device__ __forceinline__ void Unpack8(uint4 words, float (&x)[8]) {
  const uint32_t pairs[4] = {words.x, words.y, words.z, words.w};
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const float2 two = Unpack2<T>(pairs[i]);
    x[2 * i] = two.x;
    x[2 * i + 1] = two.y;
  }
}

// Eight at a time, any other number one by one.
template <int kColumns, typename T>
__device__ __forceinline__ void LoadColumns(const T* p, float (&x)[kColumns]) {
  if constexpr (kColumns != 8) {
#pragma unroll
    for (int i = 0; i < kColumns; ++i) x[i] = ToFloat(p[i]);
  } else if constexpr (std::is_same_v<T, float>) {
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const float4 four = LoadFloat4(p + 4 * i);
      x[4 * i] = four.x;
      x[4 * i + 1] = four.y;
      x[4 * i + 2] = four.z;
      x[4 * i + 3] = four.w;
    }
  } else {
    Unpack8<T>(Load16(p), x);
  }
}

template <int kColumns, typename T>
__device__ __forceinline__ void StoreColumns(T* p, const float (&x)[kColumns]) {
  if constexpr (kColumns != 8) {
#pragma unroll
    for (int i = 0; i < kColumns; ++i) p[i] = FromFloat<T>(x[i]);
  } else if constexpr (std::is_same_v<T, float>) {
    StoreFloat4(p, make_float4(x[0], x[1], x[2], x[3]));
    StoreFloat4(p + 4, make_float4(x[4], x[5], x[6], x[7]));
  } else {
    Store16(p, make_uint4(Pack2<T>(x[0], x[1]), Pack2<T>(x[2], x[3]), Pack2<T>(x[4], x[5]),
                          Pack2<T>(x[6], x[7])));
  }
}

// Every lane gets the sum.
__device__ __forceinline__ float WarpSum(float x) {
#pragma unroll
  for (int lanes = kWarpSize / 2; lanes > 0; lanes /= 2) x += __shfl_xor_sync(kAllLanes, x, lanes);
  return x;
}
__device__ __forceinline__ float WarpMax(float x) {
#pragma unroll
  for (int lanes = kWarpSize / 2; lanes > 0; lanes /= 2) {
    x = fmaxf(x, __shfl_xor_sync(kAllLanes, x, lanes));
  }
  return x;
}

// Every thread of a block of kThreads gets the sum. A kernel uses each kTag once, so that no
// barrier is needed before the next sum.
template <int kThreads, int kTag>
__device__ __forceinline__ float BlockSum(float x) {
  float* sums = StaticShared<float, kThreads / kWarpSize, kTag>();
  x = WarpSum(x);
  if (threadIdx.x % kWarpSize == 0) sums[threadIdx.x / kWarpSize] = x;
  __syncthreads();
  float total = 0;
#pragma unroll
  for (int i = 0; i < kThreads / kWarpSize; ++i) total += sums[i];
  return total;
}

}  // namespace cliptag::cuda
