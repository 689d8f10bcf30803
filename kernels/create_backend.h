// The factory of backends: the only file that includes all of them.
#pragma once

#include <memory>

#include "kernels/backend.h"

namespace cliptag {

// The requested backend, or with kAuto the fastest on this machine. Errors name what is missing.
Result<std::unique_ptr<Backend>> CreateBackend(const BackendOptions& options);

}  // namespace cliptag
