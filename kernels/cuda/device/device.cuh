// The instructions without a name in C++: 16-byte accesses, conversions, ldmatrix, mma.sync and
// cp.async. Kernels use only this header and CUDA's own names (threadIdx, __syncthreads,
// __shfl_xor_sync, ...), so that the same source compiles for the host, too: there
// tests/cuda/emulation comes first on the include path, and its kernels/cuda/device/device.cuh,
// with the same names, replaces this one.
//
// Conventions: a block is one-dimensional and consists of whole warps; warp-wide calls name all 32
// lanes (kAllLanes); pointers to shared memory are plain pointers. Needs sm_80 or later.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>

namespace cliptag::cuda {

using Half = __half;
using BFloat16 = __nv_bfloat16;

constexpr unsigned kAllLanes = 0xffffffffu;
constexpr int kWarpSize = 32;

// --- conversions, rounded to nearest even --------------------------------------------------------

__device__ __forceinline__ float ToFloat(float x) { return x; }
__device__ __forceinline__ float ToFloat(Half x) { return __half2float(x); }
__device__ __forceinline__ float ToFloat(BFloat16 x) { return __bfloat162float(x); }

template <typename T>
__device__ T FromFloat(float x);
template <>
__device__ __forceinline__ float FromFloat<float>(float x) {
  return x;
}
template <>
__device__ __forceinline__ Half FromFloat<Half>(float x) {
  return __float2half_rn(x);
}
template <>
__device__ __forceinline__ BFloat16 FromFloat<BFloat16>(float x) {
  return __float2bfloat16_rn(x);
}

// Two neighbouring elements in one register, `low` at the lower address.
template <typename T>
__device__ uint32_t Pack2(float low, float high);
template <>
__device__ __forceinline__ uint32_t Pack2<Half>(float low, float high) {
  const __half2 pair = __floats2half2_rn(low, high);
  return *reinterpret_cast<const uint32_t*>(&pair);
}
template <>
__device__ __forceinline__ uint32_t Pack2<BFloat16>(float low, float high) {
  const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
  return *reinterpret_cast<const uint32_t*>(&pair);
}
template <typename T>
__device__ float2 Unpack2(uint32_t pair);
template <>
__device__ __forceinline__ float2 Unpack2<Half>(uint32_t pair) {
  return __half22float2(*reinterpret_cast<const __half2*>(&pair));
}
template <>
__device__ __forceinline__ float2 Unpack2<BFloat16>(uint32_t pair) {
  return __bfloat1622float2(*reinterpret_cast<const __nv_bfloat162*>(&pair));
}

// --- memory: addresses are multiples of the size -------------------------------------------------

__device__ __forceinline__ uint4 Load16(const void* p) { return *static_cast<const uint4*>(p); }
__device__ __forceinline__ uint2 Load8(const void* p) { return *static_cast<const uint2*>(p); }
__device__ __forceinline__ uint32_t Load4(const void* p) {
  return *static_cast<const uint32_t*>(p);
}
__device__ __forceinline__ float4 LoadFloat4(const float* p) {
  return *reinterpret_cast<const float4*>(p);
}
// From the L2, past the L1: what other blocks of the same launch have written.
__device__ __forceinline__ float LoadL2(const float* p) { return __ldcg(p); }
__device__ __forceinline__ void Store16(void* p, uint4 x) { *static_cast<uint4*>(p) = x; }
__device__ __forceinline__ void Store4(void* p, uint32_t x) { *static_cast<uint32_t*>(p) = x; }
__device__ __forceinline__ void StoreFloat4(float* p, float4 x) {
  *reinterpret_cast<float4*>(p) = x;
}

// threadIdx.x % 32, read again at each call: values derived from it then need no register between
// two loops.
__device__ __forceinline__ int LaneId() {
  int lane;
  asm volatile("mov.u32 %0, %%laneid;" : "=r"(lane));
  return lane;
}

// The launch's dynamic shared memory, 128-byte aligned.
__device__ __forceinline__ unsigned char* DynamicShared() {
  extern __shared__ __align__(128) unsigned char dynamic_shared[];
  return dynamic_shared;
}
// An array of the block. kTag distinguishes arrays of the same type and size.
template <typename T, int kCount, int kTag = 0>
__device__ __forceinline__ T* StaticShared() {
  __shared__ T data[kCount];
  return data;
}

// --- arithmetic ----------------------------------------------------------------------------------

__device__ __forceinline__ float Exp2(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
// Within 2 ulp for 2^-126 <= |b| <= 2^126.
__device__ __forceinline__ float Divide(float a, float b) { return __fdividef(a, b); }
__device__ __forceinline__ float ReciprocalRoot(float x) { return rsqrtf(x); }
__device__ __forceinline__ float ErrorFunction(float x) { return erff(x); }
__device__ __forceinline__ uint32_t Bits(float x) { return __float_as_uint(x); }
// PRMT: byte i of the result is byte number (selector >> 4 * i) & 7 of the eight bytes of `low` (0
// to 3) and `high` (4 to 7).
__device__ __forceinline__ uint32_t BytePermute(uint32_t low, uint32_t high, uint32_t selector) {
  return __byte_perm(low, high, selector);
}

// a - b for two f16 each, rounded to nearest even.
__device__ __forceinline__ uint32_t SubtractHalves(uint32_t a, uint32_t b) {
  const __half2 difference =
      __hsub2(*reinterpret_cast<const __half2*>(&a), *reinterpret_cast<const __half2*>(&b));
  return *reinterpret_cast<const uint32_t*>(&difference);
}

// --- tensor cores --------------------------------------------------------------------------------

__device__ __forceinline__ uint32_t SharedAddress(const void* p) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(p));
}

// Four 8 x 8 matrices of 16-bit elements; lane 8 i + r gives the address of row r of matrix i.
__device__ __forceinline__ void LdMatrixX4(uint32_t (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(SharedAddress(row))
               : "memory");
}
__device__ __forceinline__ void LdMatrixX4Trans(uint32_t (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(SharedAddress(row))
               : "memory");
}
// Two matrices; lanes 0 to 15 give the addresses, those of the other lanes are not used.
__device__ __forceinline__ void LdMatrixX2(uint32_t (&r)[2], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0,%1}, [%2];"
               : "=r"(r[0]), "=r"(r[1])
               : "r"(SharedAddress(row))
               : "memory");
}
__device__ __forceinline__ void LdMatrixX2Trans(uint32_t (&r)[2], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0,%1}, [%2];"
               : "=r"(r[0]), "=r"(r[1])
               : "r"(SharedAddress(row))
               : "memory");
}

// The PTX ISA promises products and sums of at least single precision. It specifies neither their
// order and rounding, nor what happens to subnormal operands ("handling of subnormal inputs is
// unspecified"; the GPUs measured so far keep them). Kernels must not rely on any of that.
//
// c (16, 8) f32 += a (16, 16) b (16, 8).
template <typename T>
__device__ void Mma16816(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1);
template <>
__device__ __forceinline__ void Mma16816<Half>(float (&c)[4], const uint32_t (&a)[4], uint32_t b0,
                                               uint32_t b1) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
      "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
template <>
__device__ __forceinline__ void Mma16816<BFloat16>(float (&c)[4], const uint32_t (&a)[4],
                                                   uint32_t b0, uint32_t b1) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
      "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
// c (16, 8) f32 += a (16, 8) b (8, 8).
template <typename T>
__device__ void Mma1688(float (&c)[4], uint32_t a0, uint32_t a1, uint32_t b0);
template <>
__device__ __forceinline__ void Mma1688<Half>(float (&c)[4], uint32_t a0, uint32_t a1,
                                              uint32_t b0) {
  asm("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 "
      "{%0,%1,%2,%3}, {%4,%5}, {%6}, {%0,%1,%2,%3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a0), "r"(a1), "r"(b0));
}
template <>
__device__ __forceinline__ void Mma1688<BFloat16>(float (&c)[4], uint32_t a0, uint32_t a1,
                                                  uint32_t b0) {
  asm("mma.sync.aligned.m16n8k8.row.col.f32.bf16.bf16.f32 "
      "{%0,%1,%2,%3}, {%4,%5}, {%6}, {%0,%1,%2,%3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a0), "r"(a1), "r"(b0));
}

// --- asynchronous copies -------------------------------------------------------------------------

// Copies kBytes (4, 8 or 16) from global to shared memory; both addresses are multiples of kBytes.
// Bytes from `valid` on become zero; with valid == 0 the source is not read. This thread sees the
// data after CpAsyncWait, other threads after a barrier behind it.
template <int kBytes>
__device__ __forceinline__ void CpAsync(void* shared, const void* global, int valid) {
  static_assert(kBytes == 4 || kBytes == 8 || kBytes == 16);
  if constexpr (kBytes == 16) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(SharedAddress(shared)),
                 "l"(__cvta_generic_to_global(global)), "r"(valid)
                 : "memory");
  } else {
    asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"(SharedAddress(shared)),
                 "l"(__cvta_generic_to_global(global)), "n"(kBytes), "r"(valid)
                 : "memory");
  }
}
// All kBytes, in fewer instructions.
template <int kBytes>
__device__ __forceinline__ void CpAsync(void* shared, const void* global) {
  static_assert(kBytes == 4 || kBytes == 16);
  if constexpr (kBytes == 16) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(SharedAddress(shared)),
                 "l"(__cvta_generic_to_global(global))
                 : "memory");
  } else {
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4;" ::"r"(SharedAddress(shared)),
                 "l"(__cvta_generic_to_global(global))
                 : "memory");
  }
}
__device__ __forceinline__ void CpAsyncCommit() {
  asm volatile("cp.async.commit_group;" ::: "memory");
}
// Waits until at most the `kPending` latest groups of this thread are pending.
template <int kPending>
__device__ __forceinline__ void CpAsyncWait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kPending) : "memory");
}

}  // namespace cliptag::cuda
