#include "kernels/cuda_module.h"

#include <dlfcn.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "kernels/base/log.h"
#include "kernels/cuda/module.h"

namespace cliptag {
namespace {

constexpr char kModuleVariable[] = "CLIPTAG_CUDA_MODULE";
constexpr char kFolderVariable[] = "CLIPTAG_MODULE_PATH";  // set by `meson devenv`

// The path of the module; empty if there is none.
std::string FindModule() {
  if (const char* named = std::getenv(kModuleVariable); named != nullptr) return named;
  const char* const folders[] = {std::getenv(kFolderVariable), CLIPTAG_INSTALLED_MODULES};
  for (const char* folder : folders) {
    if (folder == nullptr || *folder == '\0') continue;
    std::string path = std::string(folder) + "/libcliptag_cuda.so";
    if (access(path.c_str(), R_OK) == 0) return path;
  }
  return "";
}

Result<const CudaModule*> Open(const std::string& path) {
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    const char* why = dlerror();
    return NotFound("The CUDA backend cannot be loaded (" +
                    std::string(why == nullptr ? path : why) +
                    "); install the CUDA libraries that it names, or use backend=cpu.");
  }
  const auto get = reinterpret_cast<CudaModuleFunction>(dlsym(library, kCudaModuleSymbol));
  const CudaModule* module = get == nullptr ? nullptr : get(&Log);
  if (module == nullptr || std::string(module->version) != kCudaModuleVersion) {
    dlclose(library);
    return Unsupported("The CUDA backend in '" + path +
                       "' belongs to another version of cliptag; install the one of this version, "
                       "or use backend=cpu.");
  }
  return module;  // the library is never closed: objects from it may live on
}

// Saves loading the module, and with it cuBLASLt (96 MB), where there is no driver. A module from
// the environment variable may bring its own stand-in for the driver.
Status CheckDriver() {
  constexpr char kDriver[] = "libcuda.so.1";
  if (std::getenv(kModuleVariable) != nullptr) return {};
  void* driver = dlopen(kDriver, RTLD_LAZY | RTLD_LOCAL);
  if (driver == nullptr) {
    return Unsupported("There is no NVIDIA driver (" + std::string(kDriver) +
                       " cannot be loaded); install it, or use backend=cpu.");
  }
  dlclose(driver);
  return {};
}

}  // namespace

bool HasCudaModule() { return !FindModule().empty(); }

Result<std::unique_ptr<Backend>> CreateCudaBackend(const BackendOptions& options) {
  const std::string path = FindModule();
  if (path.empty()) {
    return Unsupported(
        "This build of cliptag has no CUDA backend; build it where the CUDA toolkit is, or use "
        "backend=cpu.");
  }
  CLIPTAG_RETURN_IF_ERROR(CheckDriver());
  CLIPTAG_ASSIGN_OR_RETURN(const CudaModule* module, Open(path));
  return module->create(options);
}

}  // namespace cliptag
