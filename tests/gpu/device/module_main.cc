// main() of the tests that open the CUDA backend's module, as users do.
#include <gtest/gtest.h>

#include "kernels/backend.h"
#include "kernels/create_backend.h"
#include "tests/gpu/device/gpu_main.h"

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  const auto backend = cliptag::CreateBackend({.kind = cliptag::BackendKind::kCuda});
  if (!cliptag::HasGpu(backend.status())) return cliptag::kSkipped;
  return RUN_ALL_TESTS();
}
