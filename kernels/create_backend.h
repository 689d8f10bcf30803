// The factory of backends: the one room that knows them all.
#pragma once

#include <memory>

#include "kernels/backend.h"

namespace cliptag {

// The backend asked for, or the best this machine has. Errors name what is missing.
Result<std::unique_ptr<Backend>> CreateBackend(const BackendOptions& options);

}  // namespace cliptag
