// `cliptag eval` but for --calibrate: everything that was asked for, with one model.
//
// Thread safety: one thread.
#pragma once

#include "kernels/base/status.h"
#include "plugin/cli/eval/measures/result.h"

namespace cliptag {

// Mistakes that need no model are found before one is loaded. Files that cannot be read are told on
// stderr and listed in the result.
Result<EvalResult> RunEvaluation(const EvalOptions& options);

}  // namespace cliptag
