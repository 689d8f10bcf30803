#include "kernels/create_backend.h"

#include <mutex>
#include <string>

#include "kernels/base/log.h"
#include "kernels/cpu/cpu_backend.h"
#include "kernels/cuda_module.h"

namespace cliptag {

namespace {

// Whether the GPU offers that precision, so that `auto` may take it.
bool IsForCuda(Precision precision) {
  return precision == Precision::kAuto || precision == Precision::kFp16 ||
         precision == Precision::kBf16;
}

}  // namespace

bool MayUseCuda(const BackendOptions& options) {
  return options.kind != BackendKind::kCpu && IsForCuda(options.precision) && HasCudaModule();
}

Result<std::unique_ptr<Backend>> CreateBackend(const BackendOptions& options) {
  if (options.threads < 0) {
    return InvalidArgument("threads is " + std::to_string(options.threads) +
                           "; use 0 for every core, or how many threads to use.");
  }
  if (options.kind == BackendKind::kCuda) return CreateCudaBackend(options);
  // A build without the module has no GPU to speak of; one with it says why it is not used.
  if (MayUseCuda(options)) {
    auto cuda = CreateCudaBackend(options);
    if (cuda.ok()) return cuda;
    static std::once_flag said;
    std::call_once(said, [&] {
      Log(LogLevel::kInfo, "backend=auto takes the CPU: " + cuda.status().message());
    });
  }
  return CreateCpuBackend(options);
}

}  // namespace cliptag
