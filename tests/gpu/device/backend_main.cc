// main() of the tests that link the CUDA backend.
#include <gtest/gtest.h>

#include "kernels/cuda/cuda_backend.h"
#include "tests/gpu/device/gpu_main.h"

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  const auto backend = cliptag::cuda::CreateDeviceBackend({.kind = cliptag::BackendKind::kCuda});
  if (!cliptag::HasGpu(backend.status())) return cliptag::kSkipped;
  return RUN_ALL_TESTS();
}
