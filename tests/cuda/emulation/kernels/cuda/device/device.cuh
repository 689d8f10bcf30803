// The emulation's counterpart of kernels/cuda/device/device.cuh: the same names for the host
// compiler, found first on the include path. See there for what each does.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <source_location>
#include <type_traits>

#include "kernels/base/half.h"
#include "tests/cuda/emulation/machine.h"
#include "tests/cuda/emulation/tensor.h"

#define __global__
#define __device__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define threadIdx (::cliptag::emulation::CurrentThread().thread_index)
#define blockIdx (::cliptag::emulation::CurrentThread().block->block_index)
#define blockDim (::cliptag::emulation::CurrentThread().block->block_dim)
#define gridDim (::cliptag::emulation::CurrentThread().block->grid_dim)

struct float2 {
  float x, y;
};
struct alignas(8) uint2 {
  unsigned x, y;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
struct alignas(16) uint4 {
  unsigned x, y, z, w;
};
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }

// NOLINTBEGIN(bugprone-reserved-identifier): these are CUDA's names
inline void __syncthreads(const std::source_location& site = std::source_location::current()) {
  cliptag::emulation::BlockBarrier(site);
}
inline void __syncwarp(const std::source_location& site = std::source_location::current()) {
  cliptag::emulation::MeetWarp("__syncwarp", site, nullptr, [](auto&) {});
}
inline void __threadfence() {}  // blocks run one after the other
inline int __popc(unsigned x) { return std::popcount(x); }
inline int __ffs(int x) { return x == 0 ? 0 : std::countr_zero(static_cast<unsigned>(x)) + 1; }

namespace cliptag::emulation {

inline void CheckMask(const char* call, unsigned mask, const Site& site) {
  if (mask != 0xffffffffu) {
    Fail(std::string(call) + " (" + ToString(site) + ") does not name all lanes");
  }
}

// Every lane brings a value and gets that of lane from(own lane).
template <typename T, typename From>
T Shuffle(const char* call, unsigned mask, T value, From from, const Site& site) {
  CheckMask(call, mask, site);
  struct Bring {
    T value, result;
    int from;
  } bring{value, value, from(CurrentThread().lane)};
  MeetWarp(call, site, &bring, [](void* const(&lanes)[kLanes]) {
    for (void* lane : lanes) {
      auto* b = static_cast<Bring*>(lane);
      b->result = static_cast<Bring*>(lanes[b->from])->value;
    }
  });
  return bring.result;
}

}  // namespace cliptag::emulation

template <typename T>
T __shfl_sync(unsigned mask, T value, int lane, int width = 32,
              const std::source_location& site = std::source_location::current()) {
  return cliptag::emulation::Shuffle(
      "__shfl_sync", mask, value,
      [=](int own) { return own / width * width + (lane & (width - 1)); }, site);
}
template <typename T>
T __shfl_xor_sync(unsigned mask, T value, int bits, int width = 32,
                  const std::source_location& site = std::source_location::current()) {
  return cliptag::emulation::Shuffle(
      "__shfl_xor_sync", mask, value,
      [=](int own) {
        const int from = own ^ bits;
        return from / width <= own / width ? from : own;
      },
      site);
}
inline int __any_sync(unsigned mask, int predicate,
                      const std::source_location& site = std::source_location::current()) {
  int any = predicate != 0 ? 1 : 0;
  for (int lanes = 16; lanes > 0; lanes /= 2) any |= __shfl_xor_sync(mask, any, lanes, 32, site);
  return any;
}
template <typename T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32,
                 const std::source_location& site = std::source_location::current()) {
  return cliptag::emulation::Shuffle(
      "__shfl_up_sync", mask, value,
      [=](int own) {
        return own % width >= static_cast<int>(delta) ? own - static_cast<int>(delta) : own;
      },
      site);
}
inline unsigned __ballot_sync(unsigned mask, bool predicate,
                              const std::source_location& site = std::source_location::current()) {
  using namespace cliptag::emulation;  // NOLINT: a function of the emulation under CUDA's name
  CheckMask("__ballot_sync", mask, site);
  struct Bring {
    bool predicate;
    unsigned result;
  } bring{predicate, 0};
  MeetWarp("__ballot_sync", site, &bring, [](void* const(&lanes)[kLanes]) {
    unsigned result = 0;
    for (int i = 0; i < kLanes; ++i) {
      result |= unsigned{static_cast<Bring*>(lanes[i])->predicate} << i;
    }
    for (void* lane : lanes) static_cast<Bring*>(lane)->result = result;
  });
  return bring.result;
}
// NOLINTEND(bugprone-reserved-identifier)

inline unsigned atomicAdd(unsigned* p, unsigned x) {
  return __atomic_fetch_add(p, x, __ATOMIC_RELAXED);
}

namespace cliptag::cuda {

struct Half {
  uint16_t bits;
};
struct BFloat16 {
  uint16_t bits;
};

constexpr unsigned kAllLanes = 0xffffffffu;
constexpr int kWarpSize = 32;

inline float ToFloat(float x) { return x; }
inline float ToFloat(Half x) { return HalfToFloat(x.bits); }
inline float ToFloat(BFloat16 x) { return Bf16ToFloat(x.bits); }

template <typename T>
T FromFloat(float x);
template <>
inline float FromFloat<float>(float x) {
  return x;
}
template <>
inline Half FromFloat<Half>(float x) {
  return {FloatToHalf(x)};
}
template <>
inline BFloat16 FromFloat<BFloat16>(float x) {
  return {FloatToBf16(x)};
}

template <typename T>
uint32_t Pack2(float low, float high) {
  return FromFloat<T>(low).bits | uint32_t{FromFloat<T>(high).bits} << 16;
}
template <typename T>
float2 Unpack2(uint32_t pair) {
  return {ToFloat(T{static_cast<uint16_t>(pair)}), ToFloat(T{static_cast<uint16_t>(pair >> 16)})};
}

using Site = emulation::Site;

template <typename T>
T LoadAligned(const void* p, const Site& site) {
  emulation::CheckAligned("a vector load", p, sizeof(T), site);
  T x;
  std::memcpy(&x, p, sizeof(x));
  return x;
}
template <typename T>
void StoreAligned(void* p, const T& x, const Site& site) {
  emulation::CheckAligned("a vector store", p, sizeof(T), site);
  std::memcpy(p, &x, sizeof(x));
}
inline uint4 Load16(const void* p, const Site& site = Site::current()) {
  return LoadAligned<uint4>(p, site);
}
inline uint2 Load8(const void* p, const Site& site = Site::current()) {
  return LoadAligned<uint2>(p, site);
}
inline uint32_t Load4(const void* p, const Site& site = Site::current()) {
  return LoadAligned<uint32_t>(p, site);
}
inline float4 LoadFloat4(const float* p, const Site& site = Site::current()) {
  return LoadAligned<float4>(p, site);
}
inline float LoadL2(const float* p) { return *p; }
inline void Store16(void* p, uint4 x, const Site& site = Site::current()) {
  StoreAligned(p, x, site);
}
inline void Store4(void* p, uint32_t x, const Site& site = Site::current()) {
  StoreAligned(p, x, site);
}
inline void StoreFloat4(float* p, float4 x, const Site& site = Site::current()) {
  StoreAligned(p, x, site);
}

inline int LaneId() { return static_cast<int>(threadIdx.x) % 32; }
inline unsigned char* DynamicShared() { return emulation::CurrentThread().block->shared.data(); }
template <typename T, int kCount, int kTag = 0>
T* StaticShared() {
  static const char identity = 0;
  return static_cast<T*>(emulation::StaticShared(&identity, kCount * sizeof(T)));
}

inline float Exp2(float x) { return std::exp2(x); }
inline float Divide(float a, float b) { return a / b; }
inline float ReciprocalRoot(float x) { return 1.0f / std::sqrt(x); }
inline float ErrorFunction(float x) { return std::erf(x); }
inline uint32_t Bits(float x) { return std::bit_cast<uint32_t>(x); }
inline uint32_t BytePermute(uint32_t low, uint32_t high, uint32_t selector,
                            const Site& site = Site::current()) {
  if ((selector & 0xffff8888u) != 0) {
    emulation::Fail("BytePermute (" + emulation::ToString(site) + ") with a selector beyond 7");
  }
  const uint64_t bytes = uint64_t{high} << 32 | low;
  uint32_t result = 0;
  for (int i = 0; i < 4; ++i) {
    result |= static_cast<uint32_t>(bytes >> (8 * (selector >> (4 * i) & 7)) & 0xff) << (8 * i);
  }
  return result;
}

inline uint32_t SubtractHalves(uint32_t a, uint32_t b) {
  const float2 x = Unpack2<Half>(a), y = Unpack2<Half>(b);
  return Pack2<Half>(x.x - y.x, x.y - y.y);
}

namespace internal {

template <int kCount>
void LdMatrix(const char* call, uint32_t* words, const void* row, bool transposed,
              const Site& site) {
  emulation::ThreadState& self = emulation::CurrentThread();
  if (self.lane < 8 * kCount) emulation::CheckShared(call, row, 16, site);
  emulation::MatrixLoad load{row, words};
  emulation::MeetWarp(call, site, &load, [&](void* const(&lanes)[emulation::kLanes]) {
    emulation::LoadMatrices(lanes, kCount, transposed);
    self.loads += kCount;
    self.conflicts += static_cast<uint64_t>(emulation::CountBankConflicts(lanes, kCount));
  });
}

// Of an operand of mma: whether it takes a subnormal for what it is, the PTX ISA does not say.
template <typename T>
float WordToFloat(uint16_t word) {
  constexpr uint16_t kExponent = std::is_same_v<T, Half> ? 0x7c00 : 0x7f80;
  return (word & kExponent) == 0 ? 0.0f : ToFloat(T{word});
}

template <typename T>
void Mma(const char* call, int depth, float* c, const uint32_t* a, const uint32_t* b,
         const Site& site) {
  emulation::MmaFragment fragment{c, a, b};
  emulation::ThreadState& self = emulation::CurrentThread();
  emulation::MeetWarp(call, site, &fragment, [&](void* const(&lanes)[emulation::kLanes]) {
    emulation::MultiplyFragments(lanes, depth, &WordToFloat<T>);
    ++self.products;
  });
}

}  // namespace internal

inline void LdMatrixX4(uint32_t (&r)[4], const void* row, const Site& site = Site::current()) {
  internal::LdMatrix<4>("ldmatrix.x4", r, row, false, site);
}
inline void LdMatrixX4Trans(uint32_t (&r)[4], const void* row, const Site& site = Site::current()) {
  internal::LdMatrix<4>("ldmatrix.x4.trans", r, row, true, site);
}
inline void LdMatrixX2(uint32_t (&r)[2], const void* row, const Site& site = Site::current()) {
  internal::LdMatrix<2>("ldmatrix.x2", r, row, false, site);
}
inline void LdMatrixX2Trans(uint32_t (&r)[2], const void* row, const Site& site = Site::current()) {
  internal::LdMatrix<2>("ldmatrix.x2.trans", r, row, true, site);
}

template <typename T>
void Mma16816(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1,
              const Site& site = Site::current()) {
  const uint32_t b[2] = {b0, b1};
  internal::Mma<T>("mma.m16n8k16", 16, c, a, b, site);
}
template <typename T>
void Mma1688(float (&c)[4], uint32_t a0, uint32_t a1, uint32_t b0,
             const Site& site = Site::current()) {
  const uint32_t a[2] = {a0, a1};
  internal::Mma<T>("mma.m16n8k8", 8, c, a, &b0, site);
}

template <int kBytes>
void CpAsync(void* shared, const void* global, int valid, const Site& site = Site::current()) {
  static_assert(kBytes == 4 || kBytes == 8 || kBytes == 16);
  emulation::StartAsyncCopy(shared, global, kBytes, valid, site);
}
template <int kBytes>
void CpAsync(void* shared, const void* global, const Site& site = Site::current()) {
  static_assert(kBytes == 4 || kBytes == 16);
  emulation::StartAsyncCopy(shared, global, kBytes, kBytes, site);
}
inline void CpAsyncCommit() { emulation::CommitAsyncCopies(); }
template <int kPending>
void CpAsyncWait() {
  emulation::LandAsyncCopies(kPending);
}

}  // namespace cliptag::cuda
