// The shape of a launch. A Launch*() function chooses kernel and shape and calls its launcher: any
// callable (kernel, shape, params). Launchers are StreamLauncher and those of the tests' emulation.
#pragma once

#include <cstddef>

namespace cliptag::cuda {

struct LaunchShape {
  unsigned grid_x = 1, grid_y = 1, grid_z = 1;
  int threads = 128;
  size_t shared_bytes = 0;  // dynamic; at most kMaxSharedBytes
};

inline constexpr int kMaxGridYZ = 65535;
// The shared memory that every GPU gives a block without opt-in; no kernel needs more.
inline constexpr size_t kMaxSharedBytes = 48 * 1024;

}  // namespace cliptag::cuda
