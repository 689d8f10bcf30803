// Finds and opens the CUDA backend's module (libcliptag_cuda.so) at run time.
//
// Thread safety: any thread. The module stays open until the process ends.
#pragma once

#include <memory>

#include "kernels/backend.h"

namespace cliptag {

// Whether there is a module to open: the one that $CLIPTAG_CUDA_MODULE names, else that in the
// folder $CLIPTAG_MODULE_PATH (a build's, in `meson devenv`), else the installed one.
bool HasCudaModule();

// Errors name what is missing: the module, a library that it links, a driver, a device.
Result<std::unique_ptr<Backend>> CreateCudaBackend(const BackendOptions& options);

}  // namespace cliptag
