#include <dlfcn.h>

#include <string>

#include "kernels/cuda/libraries/cudnn_api.h"

namespace cliptag::cuda {
namespace {

Result<CudnnApi> Load() {
  const std::string name = "libcudnn.so." + std::to_string(CUDNN_MAJOR);
  void* library = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    const char* why = dlerror();
    return NotFound("This model has convolutions, which need cuDNN (" +
                    std::string(why == nullptr ? name : why) +
                    "); install it, or use backend=cpu.");
  }
  CudnnApi api;
  std::string missing;
  const auto find = [&](auto& function, const char* symbol) {
    function =
        reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(library, symbol));
    if (function == nullptr && missing.empty()) missing = symbol;
  };
#define CLIPTAG_CUDNN_FIND(name) find(api.name, #name);
  CLIPTAG_CUDNN_FUNCTIONS(CLIPTAG_CUDNN_FIND)
#undef CLIPTAG_CUDNN_FIND
  if (missing.empty()) return api;  // the library stays open
  dlclose(library);
  return Unsupported(name + " has no " + missing + "; install the cuDNN that this was built with.");
}

}  // namespace

Result<const CudnnApi*> OpenCudnn() {
  static const Result<CudnnApi> api = Load();
  if (!api.ok()) return api.status();
  return &*api;
}

}  // namespace cliptag::cuda
