// The interface of the CUDA backend's module, a shared library. The plugin links no CUDA library:
// kernels/cuda_module.cc opens the module, and with it the libraries that the module links.
//
// C++ objects cross this interface, so both sides must be built together, with one compiler; the
// version guards that.
#pragma once

#include "kernels/backend.h"
#include "kernels/base/log.h"

namespace cliptag {

struct CudaModule {
  const char* version;  // kCudaModuleVersion of its build
  Result<std::unique_ptr<Backend>> (*create)(const BackendOptions& options);
};

// To be raised when backend.h, tensor.h, frame.h, status.h or log.h change.
inline constexpr char kCudaModuleVersion[] = "cliptag-cuda-2";

// The module's only symbol. `log` receives the log messages of the module.
inline constexpr char kCudaModuleSymbol[] = "cliptag_cuda_module";
using CudaModuleFunction = const CudaModule* (*)(void (*log)(LogLevel, const std::string&));

}  // namespace cliptag
