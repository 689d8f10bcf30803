#include <cuda_runtime_api.h>

#include <cstdlib>

#include "tests/cuda/backend/test_device.h"

namespace cliptag::cuda::test_device {

void Begin() { (void)cudaGetLastError(); }

// Leaks are the stand-in's to find; a GPU tells of errors that nobody asked about.
std::string Problems() {
  const cudaError_t work = cudaDeviceSynchronize(), last = cudaGetLastError();
  std::string all;
  if (work != cudaSuccess) all += std::string(cudaGetErrorString(work)) + "\n";
  if (last != cudaSuccess) all += std::string("left behind: ") + cudaGetErrorString(last) + "\n";
  return all;
}

std::string Description() {
  cudaDeviceProp properties;
  if (cudaGetDeviceProperties(&properties, 0) != cudaSuccess) return "no GPU";
  return std::string(properties.name) + ", compute capability " + std::to_string(properties.major) +
         "." + std::to_string(properties.minor);
}

std::optional<Graphs> GraphsSoFar() { return std::nullopt; }

// compute-sanitizer takes the speed away.
bool IsFast() { return std::getenv("CLIPTAG_TEST_SMALL") == nullptr; }

}  // namespace cliptag::cuda::test_device
