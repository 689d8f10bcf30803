// The stand-in's counterpart of kernels/cuda/device/stream_launch.cuh: puts a closure that emulates
// the kernel into a stream of the stand-in for the CUDA runtime. See there for the interface.
#pragma once

#include <cuda_runtime_api.h>

#include <type_traits>
#include <typeinfo>

#include "kernels/cuda/device/launch.h"
#include "tests/cuda/standin/launch.h"

namespace cliptag::cuda {

class StreamLauncher {
 public:
  explicit StreamLauncher(cudaStream_t stream) : stream_(stream) {}

  template <typename Params>
  void operator()(void (*kernel)(Params), const LaunchShape& shape,
                  const std::type_identity_t<Params>& params) {
    static_assert(std::is_trivially_copyable_v<Params> && sizeof(Params) <= kMaxParamBytes);
    if (error_ != cudaSuccess) return;
    error_ = standin::EnqueueKernel(stream_, typeid(Params).name(), shape,
                                    [kernel, params] { kernel(params); });
  }

  cudaError_t error() const { return error_; }

 private:
  static constexpr size_t kMaxParamBytes = 4096;

  cudaStream_t stream_;
  cudaError_t error_ = cudaSuccess;
};

}  // namespace cliptag::cuda
