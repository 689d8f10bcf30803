#include "kernels/cpu/cpu_backend.h"

namespace cliptag {

// Until the CPU backend lands (next delivery) the oracle stands in for it.
Result<std::unique_ptr<Backend>> CreateCpuBackend(const BackendOptions& options) {
  return CreateRefBackend();
}

}  // namespace cliptag
