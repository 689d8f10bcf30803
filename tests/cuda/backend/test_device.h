// What the CUDA backend's operation tests run on: the stand-in for CUDA (test_device_standin.cc) or
// a GPU (tests/gpu/device/test_device_gpu.cc). A test program links one of them.
//
// Thread safety: as the tests, one thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace cliptag::cuda::test_device {

// Before a test: nothing left of the one before.
void Begin();
// After a test and its backend: what was not freed or went wrong; empty when all is well.
std::string Problems();

// What the backend's description begins with.
std::string Description();

struct Graphs {
  uint64_t captured = 0, launched = 0;
};
std::optional<Graphs> GraphsSoFar();  // since Begin(); none where nobody counts

// A GPU does in milliseconds what takes the emulation minutes.
bool IsFast();

}  // namespace cliptag::cuda::test_device
