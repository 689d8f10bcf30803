// The linear probe as a prompt bank (models/prompts/bank_file.h): a row for each class.
//
// Thread safety: pure functions over files.
#pragma once

#include <string>

#include "kernels/base/status.h"
#include "plugin/cli/eval/measures/result.h"

namespace cliptag {

// Whether a bank could be written there: asked before anything is computed.
Status CheckBankPath(const std::string& path);

// `result` has a probe.
Status WriteProbeBank(const std::string& path, const EvalResult& result);

}  // namespace cliptag
