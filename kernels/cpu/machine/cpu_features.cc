#include "kernels/cpu/machine/cpu_features.h"

#include <sys/utsname.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>

#include "kernels/base/concat.h"

namespace cliptag {
namespace {

// In the order of CpuLevel.
constexpr const char* kLevels[] = {"baseline",    "avx2",        "avx512",
                                   "avx512_vnni", "avx512_bf16", "amx"};

}  // namespace

const char* ToString(CpuLevel level) { return kLevels[static_cast<int>(level)]; }

Result<CpuLevel> ChooseCpuLevel() {
  const CpuLevel machine = DetectCpuLevel();
  const char* cap = std::getenv("CLIPTAG_CPU");
  if (!cap || !*cap) return machine;
  const auto found = std::find(std::begin(kLevels), std::end(kLevels), std::string(cap));
  if (found != std::end(kLevels)) return std::min(static_cast<CpuLevel>(found - kLevels), machine);
  return InvalidArgument(
      Concat("CLIPTAG_CPU is '", cap,
             "'; use baseline, avx2, avx512, avx512_vnni, avx512_bf16 or amx, or unset it."));
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
