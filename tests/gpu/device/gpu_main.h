// The end of a program that needs a GPU, where there is none.
#pragma once

#include <cstdio>

#include "kernels/base/status.h"

namespace cliptag {

inline constexpr int kSkipped = 77;  // as meson and automake know it

// Whether a GPU can be opened; says in one sentence why not.
inline bool HasGpu(const Status& opened) {
  if (!opened.ok()) std::printf("skipped: %s\n", opened.message().c_str());
  return opened.ok();
}

}  // namespace cliptag
