// The launcher for host code: puts kernels into a CUDA stream, or into the graph that the stream is
// capturing. In the tests the emulation's kernels/cuda/device/stream_launch.cuh comes first on the
// include path and replaces this one, with the same interface.
//
// Ownership: the stream is the caller's and outlives the launcher. Threads: as for a stream, one at
// a time.
#pragma once

#include <cuda_runtime.h>

#include <type_traits>

#include "kernels/cuda/device/launch.h"

namespace cliptag::cuda {

class StreamLauncher {
 public:
  explicit StreamLauncher(cudaStream_t stream) : stream_(stream) {}

  // Copies the parameters. After an error nothing more is launched.
  template <typename Params>
  void operator()(void (*kernel)(Params), const LaunchShape& shape,
                  const std::type_identity_t<Params>& params) {
    static_assert(std::is_trivially_copyable_v<Params> && sizeof(Params) <= kMaxParamBytes);
    if (error_ != cudaSuccess) return;
    Params copy = params;
    void* arguments[] = {&copy};
    error_ = cudaLaunchKernel(
        reinterpret_cast<const void*>(kernel), dim3(shape.grid_x, shape.grid_y, shape.grid_z),
        dim3(static_cast<unsigned>(shape.threads)), arguments, shape.shared_bytes, stream_);
  }

  // The first error.
  cudaError_t error() const { return error_; }

 private:
  static constexpr size_t kMaxParamBytes = 4096;  // supported by every GPU

  cudaStream_t stream_;
  cudaError_t error_ = cudaSuccess;
};

}  // namespace cliptag::cuda
