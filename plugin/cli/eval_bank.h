// The linear probe as a prompt bank: a safetensors file with a unit row for each class.
//
// One tensor, "embeddings" (classes, dim) in F32, and metadata: "format" "cliptag-prompt-bank-1",
// "model" and "model_identity" (which model it is for, see models/tower_identity.h), and "prompts",
// a prompts file's JSON with the labels. Thread safety: pure function over a file.
#pragma once

#include <string>

#include "kernels/base/status.h"
#include "plugin/cli/eval_result.h"

namespace cliptag {

// `result` has a probe. The file appears whole or not at all.
Status WriteProbeBank(const std::string& path, const EvalResult& result);

// Whether it could be written there: before anything is computed.
Status CheckBankPath(const std::string& path);

}  // namespace cliptag
