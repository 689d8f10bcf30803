// DetectCpuLevel on x86-64, from CPUID and from the registers that the operating system saves
// (XCR0).
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

#include "kernels/cpu/machine/cpu_features.h"

namespace cliptag {
namespace {

struct Leaf {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
};

Leaf ReadLeaf(unsigned leaf, unsigned sub) {
  Leaf r;
  if (!__get_cpuid_count(leaf, sub, &r.eax, &r.ebx, &r.ecx, &r.edx)) return {};
  return r;
}

uint64_t Xcr0() {
  uint32_t low, high;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (uint64_t{high} << 32) | low;
}

bool Has(unsigned word, int bit) { return (word >> bit) & 1; }

// Linux lets a process use AMX tiles only after it has asked for them.
bool RequestTiles() {
  constexpr long kRequestPermission = 0x1023, kTileData = 18;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

}  // namespace

CpuLevel DetectCpuLevel() {
  const Leaf one = ReadLeaf(1, 0), seven = ReadLeaf(7, 0), seven_one = ReadLeaf(7, 1);
  const bool osxsave = Has(one.ecx, 27);
  const uint64_t saved = osxsave ? Xcr0() : 0;
  const bool avx2 = (saved & 0x6) == 0x6 && Has(one.ecx, 28) && Has(one.ecx, 12) &&
                    Has(one.ecx, 29) && Has(seven.ebx, 5);  // AVX, FMA, F16C, AVX2
  if (!avx2) return CpuLevel::kBaseline;
  const bool avx512 = (saved & 0xe6) == 0xe6 && Has(seven.ebx, 16) && Has(seven.ebx, 17) &&
                      Has(seven.ebx, 28) && Has(seven.ebx, 30) && Has(seven.ebx, 31);
  if (!avx512) return CpuLevel::kAvx2;                       // F, DQ, CD, BW, VL
  if (!Has(seven.ecx, 11)) return CpuLevel::kAvx512;         // AVX512-VNNI
  if (!Has(seven_one.eax, 5)) return CpuLevel::kAvx512Vnni;  // AVX512-BF16
  const bool amx = (saved & 0x60000) == 0x60000 && Has(seven.edx, 22) && Has(seven.edx, 24) &&
                   Has(seven.edx, 25);  // AMX-BF16, AMX-TILE, AMX-INT8
  return amx && RequestTiles() ? CpuLevel::kAmx : CpuLevel::kAvx512Bf16;
}

}  // namespace cliptag
