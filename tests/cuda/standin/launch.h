// How a kernel is put into a stream of the stand-in; stream_launch.cuh of the emulation calls it.
//
// Threads: any.
#pragma once

#include <cuda_runtime_api.h>

#include <functional>
#include <string>

#include "kernels/cuda/device/launch.h"
#include "tests/cuda/emulation/emulation.h"

namespace cliptag::standin {

// Counts as a call of cudaLaunchKernel. `kernel` is what each emulated thread runs and holds its
// parameters by value; `name` is for reports.
cudaError_t EnqueueKernel(cudaStream_t stream, const std::string& name,
                          const cuda::LaunchShape& shape, std::function<void()> kernel);

}  // namespace cliptag::standin
