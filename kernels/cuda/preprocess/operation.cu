#include "kernels/cuda/device/runtime.h"
#include "kernels/cuda/device/stream_launch.cuh"
#include "kernels/cuda/preprocess/launch.cuh"
#include "kernels/cuda/preprocess/operation.h"

namespace cliptag::cuda {

Status RunPreprocess(cudaStream_t stream, const PreprocessPlan& plan, const void* table,
                     const Matrix& out) {
  StreamLauncher launch(stream);
  if (out.type == DType::kF16) {
    LaunchPreprocess(plan, table, static_cast<Half*>(out.data), out.stride, launch);
  } else {
    LaunchPreprocess(plan, table, static_cast<BFloat16*>(out.data), out.stride, launch);
  }
  return FromCuda(launch.error(), "preprocessing was started");
}

}  // namespace cliptag::cuda
