// What to look for, for the subcommands that score: options, the spec that follows, its bank.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kernels/base/status.h"
#include "models/clip_model.h"
#include "models/prompts/prompts.h"

namespace cliptag {

struct PromptOptions {
  std::string prompts, prompts_file, templates, background;
};

// --prompts, --prompts-file, --templates, --background. Call the result once the command line has
// been read: it throws CLI::RequiredError when there is nothing to look for.
std::function<void()> AddPromptOptions(CLI::App& app, PromptOptions* options);

// The spec, exemplar pictures decoded. A prompts file's own templates and background go before the
// options', as in the element.
Result<PromptSpec> ReadPrompts(const PromptOptions& options);

// A spec without templates takes the model's.
Result<std::shared_ptr<const PromptBank>> EncodePrompts(ClipModel& model, PromptSpec spec);

// Of one embedding with every row.
std::vector<float> CosinesOf(const PromptBank& bank, std::span<const float> embedding);

}  // namespace cliptag
