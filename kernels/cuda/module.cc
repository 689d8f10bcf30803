#include "kernels/cuda/module.h"

#include "kernels/cuda/cuda_backend.h"

extern "C" __attribute__((visibility("default"))) const cliptag::CudaModule* cliptag_cuda_module(
    void (*log)(cliptag::LogLevel, const std::string&)) {
  static const cliptag::CudaModule module{cliptag::kCudaModuleVersion,
                                          &cliptag::cuda::CreateDeviceBackend};
  cliptag::SetLogCallback(log);
  return &module;
}
