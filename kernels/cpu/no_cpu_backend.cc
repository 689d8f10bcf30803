// Replaces the CPU backend in a build without oneDNN (meson: -Dcpu=disabled).
#include "kernels/cpu/cpu_backend.h"

namespace cliptag {

Result<std::unique_ptr<Backend>> CreateCpuBackend(const BackendOptions&) {
  return Unsupported("This build has no CPU backend; use backend=cuda.");
}

}  // namespace cliptag
