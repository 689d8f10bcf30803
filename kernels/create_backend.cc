#include "kernels/create_backend.h"

#include <mutex>

#include "kernels/base/concat.h"
#include "kernels/base/log.h"
#include "kernels/cpu/cpu_backend.h"
#include "kernels/cuda_module.h"

namespace cliptag {

bool MayUseCuda(const BackendOptions& options) {
  const bool on_cpu_alone =
      options.precision == Precision::kFp32 || options.precision == Precision::kInt8;
  return options.kind != BackendKind::kCpu && !on_cpu_alone && HasCudaModule();
}

Result<std::unique_ptr<Backend>> CreateBackend(const BackendOptions& options) {
  if (options.threads < 0) {
    return InvalidArgument(Concat("threads is ", options.threads,
                                  "; use 0 for every core, or how many threads to use."));
  }
  if (options.kind == BackendKind::kCuda) return CreateCudaBackend(options);
  if (MayUseCuda(options)) {
    auto cuda = CreateCudaBackend(options);
    if (cuda.ok()) return cuda;
    static std::once_flag logged;
    std::call_once(logged, [&] {
      Log(LogLevel::kInfo, "backend=auto takes the CPU: " + cuda.status().message());
    });
  }
  return CreateCpuBackend(options);
}

}  // namespace cliptag
