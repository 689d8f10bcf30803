// The prompts of the subcommands that score: what the options name, and its bank.
#pragma once

#include <memory>

#include "kernels/base/status.h"
#include "models/clip_model.h"
#include "models/prompts/prompts.h"

namespace cliptag {

// The spec, exemplar pictures decoded. Warns of lists that the file's own win over.
Result<PromptSpec> ReadPrompts(const PromptSource& source);

// A spec without templates takes the model's.
Result<std::shared_ptr<const PromptBank>> EncodePrompts(ClipModel& model, PromptSpec spec);

}  // namespace cliptag
