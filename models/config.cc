#include "models/config.h"

#include <filesystem>

#include "models/config_reader.h"
#include "models/weights.h"

namespace cliptag {
namespace {

namespace fs = std::filesystem;

bool Exists(const fs::path& path) {
  std::error_code error;
  return fs::exists(path, error);
}

Result<ModelConfig> Read(const std::string& directory) {
  std::error_code error;
  if (!fs::is_directory(directory, error)) {
    return NotFound("The model directory " + directory + " does not exist.");
  }
  ModelConfig config;
  config.path = directory;
  // "models/starter/" and "models/starter" are both called "starter".
  fs::path path = fs::path(directory).lexically_normal();
  if (path.filename().empty()) path = path.parent_path();
  config.name = path.filename().string();
  const std::string open_clip = directory + "/open_clip_config.json";
  const std::string hugging_face = directory + "/config.json";
  const bool has_open_clip = Exists(open_clip), has_hugging_face = Exists(hugging_face);
  if (!has_open_clip && !has_hugging_face) {
    return NotFound(
        "The directory " + directory +
        " has neither config.json (Hugging Face) nor open_clip_config.json (open_clip).");
  }
  // Some repositories hold a model in both layouts: open_clip is the reference, if its weights are
  // there too.
  const bool use_open_clip =
      has_open_clip && (!has_hugging_face || !FindWeights(directory, Layout::kOpenClip).empty());
  CLIPTAG_RETURN_IF_ERROR(use_open_clip ? ReadOpenClipConfig(open_clip, &config)
                                        : ReadHuggingFaceConfig(hugging_face, &config));
  return config;
}

}  // namespace

Result<ModelConfig> ReadModelConfig(const std::string& directory) {
  try {
    return Read(directory);
  } catch (const std::exception& e) {  // a field of a JSON type that nobody expects there
    return DataLoss("Cannot read the configuration in " + directory + ": " + e.what() + ".");
  }
}

}  // namespace cliptag
