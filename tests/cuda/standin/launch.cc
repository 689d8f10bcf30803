#include "tests/cuda/standin/launch.h"

#include "tests/cuda/standin/runtime.h"

namespace cliptag::standin {
namespace {

bool IsLaunchable(const cuda::LaunchShape& shape) {
  return shape.grid_x >= 1 && shape.grid_y >= 1 && shape.grid_z >= 1 &&
         shape.grid_x <= 0x7fffffffu && shape.grid_y <= cuda::kMaxGridYZ &&
         shape.grid_z <= cuda::kMaxGridYZ && shape.threads >= 1 && shape.threads <= 1024 &&
         shape.shared_bytes <= cuda::kMaxSharedBytes;
}

}  // namespace

cudaError_t EnqueueKernel(cudaStream_t stream, const std::string& name,
                          const cuda::LaunchShape& shape, std::function<void()> kernel) {
  return Call("cudaLaunchKernel", kPlain, [&](Runtime& runtime) {
    const auto target = runtime.FindStream(stream);
    if (target == nullptr || target->device != runtime.device()) {
      return runtime.Misuse("cudaLaunchKernel", "no stream of the current device",
                            cudaErrorInvalidResourceHandle);
    }
    if (!IsLaunchable(shape)) {
      return runtime.Misuse("cudaLaunchKernel", name + ": a shape that no card takes",
                            cudaErrorInvalidConfiguration);
    }
    const emulation::LaunchConfig config{.grid = {shape.grid_x, shape.grid_y, shape.grid_z},
                                         .threads = shape.threads,
                                         .shared_bytes = shape.shared_bytes};
    return runtime.Enqueue(
        target, std::make_shared<Operation>(Operation{
                    name, [&runtime, config, kernel = std::move(kernel)]() mutable -> Outcome {
                      ++runtime.counters.kernels;
                      emulation::LaunchConfig ordered = config;
                      ordered.order = runtime.settings.kernel_order;
                      const emulation::LaunchReport report = emulation::Launch(ordered, kernel);
                      if (report.error.empty()) return {};
                      return {cudaErrorLaunchFailure, report.error};
                    }}));
  });
}

}  // namespace cliptag::standin
