// What the CUDA backend's module, a shared library of its own, gives to whoever opens it. The
// plugin links none of the CUDA libraries: kernels/cuda_module.cc opens the module when it is asked
// for, and with it the libraries that the module links.
//
// Both sides are built together, with one compiler: C++ objects cross the border, and the version
// says whether they may.
#pragma once

#include "kernels/backend.h"
#include "kernels/base/log.h"

namespace cliptag {

struct CudaModule {
  const char* version;  // kCudaModuleVersion of its build
  Result<std::unique_ptr<Backend>> (*create)(const BackendOptions& options);
};

// Of the interfaces that cross the border: backend.h, frame.h, status.h, log.h. Raised with them.
inline constexpr char kCudaModuleVersion[] = "cliptag-cuda-1";

// The module's one symbol. `log` takes what the module's core has to say.
inline constexpr char kCudaModuleSymbol[] = "cliptag_cuda_module";
using CudaModuleFunction = const CudaModule* (*)(void (*log)(LogLevel, const std::string&));

}  // namespace cliptag
