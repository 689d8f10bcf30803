// The parameters of all attention kernels.
#pragma once

#include <cmath>

#include "kernels/cuda/device/device.cuh"

namespace cliptag::cuda {

// Pointers are 16-byte aligned and strides multiples of 8 elements.
struct AttentionParams {
  const void* q = nullptr;  // (batch * q_tokens, heads * head_dim)
  const void* k = nullptr;  // (batch * kv_tokens, heads * head_dim)
  const void* v = nullptr;  // as k
  void* out = nullptr;      // as q
  int64_t q_stride = 0, k_stride = 0, v_stride = 0, out_stride = 0;  // elements
  int q_tokens = 0, kv_tokens = 0;
  float scale_log2 = 1.0f;              // scale * log2(e), positive: exp(x) = exp2(x log2(e))
  const int32_t* kv_lengths = nullptr;  // visible keys of each batch item; null = all
};

// The number of visible keys of this batch item; none if zero or less.
__device__ __forceinline__ int VisibleKeys(const AttentionParams& p, int item) {
  if (p.kv_lengths == nullptr) return p.kv_tokens;
  const int length = p.kv_lengths[item];
  return length < p.kv_tokens ? length : p.kv_tokens;
}

__device__ __forceinline__ float NegativeInfinity() { return -INFINITY; }

}  // namespace cliptag::cuda
