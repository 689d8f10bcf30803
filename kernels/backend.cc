#include "kernels/backend.h"

#include <string>

#include "kernels/cpu/cpu_backend.h"

namespace cliptag {

const char* ToString(Precision precision) {
  switch (precision) {
    case Precision::kAuto:
      return "auto";
    case Precision::kFp32:
      return "fp32";
    case Precision::kBf16:
      return "bf16";
    case Precision::kFp16:
      return "fp16";
    case Precision::kInt8:
      return "int8";
  }
  return "unknown";
}

Result<Precision> ParsePrecision(const std::string& name) {
  for (Precision p :
       {Precision::kAuto, Precision::kFp32, Precision::kBf16, Precision::kFp16, Precision::kInt8}) {
    if (name == ToString(p)) return p;
  }
  return InvalidArgument("No such precision: '" + name + "'; use auto, fp32, bf16, fp16 or int8.");
}

const char* ToString(BackendKind kind) {
  switch (kind) {
    case BackendKind::kAuto:
      return "auto";
    case BackendKind::kCpu:
      return "cpu";
    case BackendKind::kCuda:
      return "cuda";
  }
  return "unknown";
}

Result<BackendKind> ParseBackendKind(const std::string& name) {
  for (BackendKind k : {BackendKind::kAuto, BackendKind::kCpu, BackendKind::kCuda}) {
    if (name == ToString(k)) return k;
  }
  return InvalidArgument("No such backend: '" + name + "'; use auto, cpu or cuda.");
}

Result<std::unique_ptr<Backend>> CreateBackend(const BackendOptions& options) {
  if (options.threads < 0) {
    return InvalidArgument("threads is " + std::to_string(options.threads) +
                           "; use 0 for every core, or how many threads to use.");
  }
  if (options.kind == BackendKind::kCuda) {
    return Unsupported("This version has no CUDA backend yet; use backend=cpu.");
  }
  return CreateCpuBackend(options);
}

}  // namespace cliptag
