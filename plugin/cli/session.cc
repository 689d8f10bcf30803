#include "plugin/cli/session.h"

#include "models/config/find_model.h"

namespace cliptag {
namespace {

// The beginning of a text, for a message.
std::string Shortened(const std::string& text) {
  constexpr size_t kMost = 60;  // bytes
  if (text.size() <= kMost) return text;
  size_t end = kMost;
  while (end > 0 && (text[end] & 0xc0) == 0x80) --end;  // not within a character
  return text.substr(0, end) + "...";
}

}  // namespace

Result<LoadedModel> LoadSession(const ModelOptions& options) {
  BackendOptions backend_options;
  backend_options.threads = options.threads;
  backend_options.kind = options.backend;
  backend_options.precision = options.precision;
  CLIPTAG_ASSIGN_OR_RETURN(const std::string directory, FindModel(options.model));
  return LoadModel(directory, backend_options, [](ClipModel& model) { return model.SelfCheck(); });
}

Status TextSession::Encode(std::span<const std::string> texts, float* rows,
                           std::vector<std::string>* truncated) {
  CLIPTAG_RETURN_IF_ERROR(
      cache_.Encode(model_, texts, rows, truncated, /*chunk_ms=*/0, [&](size_t done) {
        progress_.Show("text " + std::to_string(done_ + done) + " of " + std::to_string(total_));
        return Status();
      }));
  done_ += texts.size();
  return {};
}

void WarnTruncated(const std::vector<std::string>& texts, const ModelConfig& config) {
  if (texts.empty()) return;
  PrintWarning(std::to_string(texts.size()) + (texts.size() == 1 ? " text is" : " texts are") +
               " longer than the " + std::to_string(config.text.context_length) +
               " tokens of model '" + config.name + "' and cut, the first: \"" +
               Shortened(texts.front()) + "\"");
}

}  // namespace cliptag
