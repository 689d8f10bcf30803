// What the CPU can do, as one of a few levels that the backend has code for.
//
// The environment variable CLIPTAG_CPU (baseline, avx2, avx512, avx512_vnni, avx512_bf16,
// amx) caps the level,
// so that one machine can test every path below its own.
//
// Thread safety: pure functions (of the environment).
#pragma once

#include <string>

#include "kernels/base/status.h"

namespace cliptag {

// Each level includes those before it.
enum class CpuLevel {
  kBaseline,    // any x86-64, any aarch64
  kAvx2,        // AVX2, FMA, F16C
  kAvx512,      // AVX-512 F, BW, CD, DQ, VL
  kAvx512Vnni,  // dot products of bytes
  kAvx512Bf16,  // bfloat16 dot products
  kAmx,         // tiles of bfloat16 and of bytes, which the system lets this process use
};

const char* ToString(CpuLevel level);

// The best level of this machine (CPU and operating system).
CpuLevel DetectCpuLevel();

// DetectCpuLevel(), capped by CLIPTAG_CPU; an error names an unknown value.
Result<CpuLevel> ChooseCpuLevel();

// "AMD EPYC 9R14", or the architecture where the system does not tell.
std::string CpuName();

}  // namespace cliptag
