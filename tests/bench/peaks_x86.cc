// Peak loops of x86-64: as many independent sums as hide an instruction's latency, nothing from
// memory. Compiled for every instruction set at once; only what the CPU has is called.
#include <cpuid.h>
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

#include "kernels/cpu/machine/cpu_features.h"
#include "tests/bench/peaks.h"

namespace cliptag::bench {
namespace {

constexpr int kSums = 12;  // two units, latency 4 to 6

// The sums are to be different ones, and used: else the compiler makes one of them all.
template <typename T>
inline __attribute__((always_inline)) void Keep(T* sums) {
  asm volatile("" : "+m"(*reinterpret_cast<char(*)[kSums * sizeof(T)]>(sums)));
}

__attribute__((target("sse2"))) void FmaSse(long rounds) {
  __m128 sums[kSums] = {};
  Keep(sums);
  const __m128 a = _mm_set1_ps(0.5f), b = _mm_set1_ps(1.0f);
  for (long r = 0; r < rounds; ++r) {
#pragma GCC unroll 12
    for (int i = 0; i < kSums; ++i) sums[i] = _mm_add_ps(_mm_mul_ps(sums[i], a), b);
  }
  Keep(sums);
}

__attribute__((target("avx2,fma"))) void FmaAvx2(long rounds) {
  __m256 sums[kSums] = {};
  Keep(sums);
  const __m256 a = _mm256_set1_ps(0.5f), b = _mm256_set1_ps(1.0f);
  for (long r = 0; r < rounds; ++r) {
#pragma GCC unroll 12
    for (int i = 0; i < kSums; ++i) sums[i] = _mm256_fmadd_ps(sums[i], a, b);
  }
  Keep(sums);
}

__attribute__((target("avx512f"))) void FmaAvx512(long rounds) {
  __m512 sums[kSums] = {};
  Keep(sums);
  const __m512 a = _mm512_set1_ps(0.5f), b = _mm512_set1_ps(1.0f);
  for (long r = 0; r < rounds; ++r) {
#pragma GCC unroll 12
    for (int i = 0; i < kSums; ++i) sums[i] = _mm512_fmadd_ps(sums[i], a, b);
  }
  Keep(sums);
}

__attribute__((target("avx512f,avx512bf16"))) void DotBf16(long rounds) {
  __m512 sums[kSums] = {};
  Keep(sums);
  const auto a = reinterpret_cast<__m512bh>(_mm512_set1_epi16(0x3f80));  // 1.0
  for (long r = 0; r < rounds; ++r) {
#pragma GCC unroll 12
    for (int i = 0; i < kSums; ++i) sums[i] = _mm512_dpbf16_ps(sums[i], a, a);
  }
  Keep(sums);
}

__attribute__((target("avx512f,avx512vnni"))) void DotInt8(long rounds) {
  __m512i sums[kSums] = {};
  Keep(sums);
  const __m512i a = _mm512_set1_epi8(1);
  for (long r = 0; r < rounds; ++r) {
#pragma GCC unroll 12
    for (int i = 0; i < kSums; ++i) sums[i] = _mm512_dpbusd_epi32(sums[i], a, a);
  }
  Keep(sums);
}

// Eight tiles of 16 rows of 64 bytes: four sums of two by two.
struct alignas(64) TileConfig {
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

bool MayUseTiles() {
  constexpr int kRequestPermission = 0x1023, kTileData = 18;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

enum class TileValues { kBf16, kInt8 };

// GCC's multiplications take the numbers of tiles as they stand, so they are spelt out.
template <TileValues kValues>
__attribute__((target("amx-tile,amx-bf16,amx-int8"))) void Tiles(long rounds) {
  const TileConfig config;
  _tile_loadconfig(&config);
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  _tile_zero(4);
  _tile_zero(5);
  _tile_zero(6);
  _tile_zero(7);
  for (long r = 0; r < rounds; ++r) {
    if constexpr (kValues == TileValues::kBf16) {
      _tile_dpbf16ps(0, 4, 6);
      _tile_dpbf16ps(1, 4, 7);
      _tile_dpbf16ps(2, 5, 6);
      _tile_dpbf16ps(3, 5, 7);
    } else {
      _tile_dpbssd(0, 4, 6);
      _tile_dpbssd(1, 4, 7);
      _tile_dpbssd(2, 5, 6);
      _tile_dpbssd(3, 5, 7);
    }
  }
  _tile_release();
}

bool Has(unsigned leaf, unsigned sub, char reg, int bit) {
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (!__get_cpuid_count(leaf, sub, &a, &b, &c, &d)) return false;
  return ((reg == 'c' ? c : d) >> bit) & 1;
}

__attribute__((target("avx2"))) unsigned long ReadAvx2(const char* bytes, size_t count) {
  __m256i sums[4] = {};
  for (size_t i = 0; i + 128 <= count; i += 128) {
    const auto* p = reinterpret_cast<const __m256i*>(bytes + i);
#pragma GCC unroll 4
    for (int k = 0; k < 4; ++k) sums[k] = _mm256_add_epi64(sums[k], _mm256_load_si256(p + k));
  }
  const __m256i sum =
      _mm256_add_epi64(_mm256_add_epi64(sums[0], sums[1]), _mm256_add_epi64(sums[2], sums[3]));
  const __m128i half = _mm_add_epi64(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
  return static_cast<unsigned long>(_mm_cvtsi128_si64(half));
}

}  // namespace

PeakLoops AvailablePeakLoops() {
  const CpuLevel level = DetectCpuLevel();
  PeakLoops loops;
  loops.fp32 = {"SSE2", 2 * 4 * kSums, &FmaSse};
  if (level >= CpuLevel::kAvx2) loops.fp32 = {"AVX2 FMA", 2 * 8 * kSums, &FmaAvx2};
  if (level >= CpuLevel::kAvx512) loops.fp32 = {"AVX-512 FMA", 2 * 16 * kSums, &FmaAvx512};
  if (level >= CpuLevel::kAvx512Bf16) loops.bf16 = {"AVX512-BF16", 2 * 32 * kSums, &DotBf16};
  if (level >= CpuLevel::kAvx512 && Has(7, 0, 'c', 11)) {
    loops.int8 = {"AVX512-VNNI", 2 * 64 * kSums, &DotInt8};
  }
  constexpr double kTiles = 4;
  if (level >= CpuLevel::kAmx && MayUseTiles()) {
    loops.bf16 = {"AMX-BF16", kTiles * 2 * 16 * 16 * 32, &Tiles<TileValues::kBf16>};
    if (Has(7, 0, 'd', 25))
      loops.int8 = {"AMX-INT8", kTiles * 2 * 16 * 16 * 64, &Tiles<TileValues::kInt8>};
  }
  return loops;
}

unsigned long ReadAll(const char* bytes, size_t count) {
  // Asking the CPU takes longer than reading a cache: a virtual machine answers by hand.
  static const bool avx2 = DetectCpuLevel() >= CpuLevel::kAvx2;
  if (avx2) return ReadAvx2(bytes, count);
  const auto* numbers = reinterpret_cast<const unsigned long*>(bytes);
  unsigned long sum = 0;
  for (size_t i = 0; i < count / sizeof(long); ++i) sum += numbers[i];
  return sum;
}

}  // namespace cliptag::bench
