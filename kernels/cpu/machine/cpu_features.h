// The CPU's instruction sets, as one of a few levels that the backend has code for.
//
// The environment variable CLIPTAG_CPU (baseline, avx2, avx512, avx512_vnni, avx512_bf16, amx) caps
// the level, so that one machine can test every level below its own.
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
  kAvx512Bf16,  // dot products of bfloat16
  kAmx,         // tiles of bfloat16 and of bytes, which the system must allow this process to use
};

const char* ToString(CpuLevel level);

// The best level of this machine (CPU and operating system).
CpuLevel DetectCpuLevel();

// DetectCpuLevel(), capped by CLIPTAG_CPU; an error names an unknown value.
Result<CpuLevel> ChooseCpuLevel();

// "AMD EPYC 9R14", or the architecture if the system does not name the CPU.
std::string CpuName();

}  // namespace cliptag
