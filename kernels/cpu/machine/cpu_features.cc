#include "kernels/cpu/machine/cpu_features.h"

#include <sys/utsname.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>

namespace cliptag {

const char* ToString(CpuLevel level) {
  switch (level) {
    case CpuLevel::kBaseline:
      return "baseline";
    case CpuLevel::kAvx2:
      return "avx2";
    case CpuLevel::kAvx512:
      return "avx512";
    case CpuLevel::kAvx512Vnni:
      return "avx512_vnni";
    case CpuLevel::kAvx512Bf16:
      return "avx512_bf16";
    case CpuLevel::kAmx:
      return "amx";
  }
  return "unknown";
}

Result<CpuLevel> ChooseCpuLevel() {
  const CpuLevel machine = DetectCpuLevel();
  const char* cap = std::getenv("CLIPTAG_CPU");
  if (!cap || !*cap) return machine;
  for (CpuLevel level : {CpuLevel::kBaseline, CpuLevel::kAvx2, CpuLevel::kAvx512,
                         CpuLevel::kAvx512Vnni, CpuLevel::kAvx512Bf16, CpuLevel::kAmx}) {
    if (std::string(cap) == ToString(level)) return std::min(level, machine);
  }
  return InvalidArgument(
      std::string("CLIPTAG_CPU is '") + cap +
      "'; use baseline, avx2, avx512, avx512_vnni, avx512_bf16 or amx, or unset it.");
}

std::string CpuName() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.rfind("model name", 0) != 0) continue;
    const size_t colon = line.find(": ");
    if (colon != std::string::npos) return line.substr(colon + 2);
  }
  utsname name;
  return uname(&name) == 0 ? name.machine : "unknown CPU";
}

}  // namespace cliptag
