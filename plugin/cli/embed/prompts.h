// The prompts of the subcommands that score: what the options name, and its bank.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kernels/base/status.h"
#include "models/clip_model.h"
#include "models/prompts/prompts.h"
#include "plugin/cli/options.h"

namespace cliptag {

// The spec, exemplar pictures decoded. A prompts file's own templates and background go before the
// options', as in the element.
Result<PromptSpec> ReadPrompts(const PromptOptions& options);

// A spec without templates takes the model's.
Result<std::shared_ptr<const PromptBank>> EncodePrompts(ClipModel& model, PromptSpec spec);

// Of one embedding with every row.
std::vector<float> CosinesOf(const PromptBank& bank, std::span<const float> embedding);

}  // namespace cliptag
