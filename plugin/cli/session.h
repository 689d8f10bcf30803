// A model that the command line names, loaded, and texts through it.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "kernels/backend.h"
#include "kernels/base/status.h"
#include "models/load_model.h"
#include "models/prompts/text_cache.h"
#include "plugin/cli/diagnostics.h"
#include "plugin/cli/options.h"

namespace cliptag {

// Loads and checks (ClipModel::SelfCheck) what the options name.
Result<LoadedModel> LoadSession(const ModelOptions& options);

// One warning for all texts that are longer than the model's context.
void WarnTruncated(const std::vector<std::string>& texts, const ModelConfig& config);

// Encodes the texts that the cache of texts does not have, with a progress line.
class TextSession {
 public:
  // `total`: texts that there will be, over all calls.
  TextSession(ClipModel& model, size_t total) : model_(model), cache_(model), total_(total) {}
  // As ClipModel::EncodeTexts.
  Status Encode(std::span<const std::string> texts, float* rows,
                std::vector<std::string>* truncated);

 private:
  ClipModel& model_;
  TextCache cache_;
  Progress progress_;
  const size_t total_;
  size_t done_ = 0;
};

}  // namespace cliptag
