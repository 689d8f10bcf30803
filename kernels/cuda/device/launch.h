// The shape of a launch, as the *_launch.cuh headers hand it to whoever launches: host code that
// writes `kernel<<<...>>>(params)` or records a graph node, or the emulation. A launcher is any
// callable (kernel, shape, params); the launch headers choose kernel and shape and know of no
// runtime.
#pragma once

#include <cstddef>

namespace cliptag::cuda {

struct LaunchShape {
  unsigned grid_x = 1, grid_y = 1, grid_z = 1;
  int threads = 128;
  size_t shared_bytes = 0;  // dynamic; at most kMaxSharedBytes
};

inline constexpr int kMaxGridYZ = 65535;
// What every card gives a block without being asked; no kernel needs more.
inline constexpr size_t kMaxSharedBytes = 48 * 1024;

}  // namespace cliptag::cuda
