#include "models/config/config.h"

#include <filesystem>
#include <string_view>

#include "models/config/name_check.h"
#include "models/config/reader.h"
#include "models/weights/weights.h"

namespace cliptag {
namespace {

namespace fs = std::filesystem;

bool Exists(const fs::path& path) {
  std::error_code error;
  return fs::exists(path, error);
}

// Safetensors go before PyTorch's archives, whatever the layout; the reference's layout before the
// other.
bool PrefersOpenClip(const std::string& directory) {
  const std::string ours = FindWeights(directory, Layout::kOpenClip);
  const std::string theirs = FindWeights(directory, Layout::kHuggingFace);
  if (ours.empty() || theirs.empty()) return !ours.empty();
  return IsSafetensors(ours) || !IsSafetensors(theirs);
}

// "models/starter/" and "models/starter" are both called "starter"; a snapshot in the hub's own
// cache after its repository, "models--ORG--NAME/snapshots/COMMIT", and a file after itself.
std::string NameOf(const std::string& path) {
  std::error_code error;
  fs::path full = fs::path(path).lexically_normal();
  if (full.filename().empty()) full = full.parent_path();
  if (!fs::is_directory(path, error)) return full.stem().string();
  const fs::path snapshots = full.parent_path();
  const std::string repository = snapshots.parent_path().filename().string();
  constexpr std::string_view kModels = "models--";
  if (snapshots.filename() == "snapshots" && repository.starts_with(kModels)) {
    return repository.substr(kModels.size());
  }
  return full.filename().string();
}

Result<ModelConfig> Read(const std::string& path) {
  std::error_code error;
  ModelConfig config;
  config.name = NameOf(path);
  config.path = path;
  if (!fs::is_directory(path, error)) {
    if (!fs::is_regular_file(path, error)) {
      return NotFound("The model directory " + path + " does not exist.");
    }
    config.path = fs::path(path).parent_path().string();
    if (config.path.empty()) config.path = ".";
    config.weights_file = path;
  }
  const std::string open_clip = config.path + "/open_clip_config.json";
  const std::string hugging_face = config.path + "/config.json";
  const bool has_open_clip = Exists(open_clip), has_hugging_face = Exists(hugging_face);
  const bool named = !config.weights_file.empty();
  if (!has_open_clip && !has_hugging_face) {
    if (!named) {
      const std::vector<std::string> archives = FindArchives(path);
      if (archives.empty()) {
        return NotFound(
            "The directory " + path +
            " has neither config.json (Hugging Face) nor open_clip_config.json (open_clip).");
      }
      if (archives.size() > 1) {
        return InvalidArgument("The directory " + path + " has " + std::to_string(archives.size()) +
                               " models, " + archives[0] +
                               " first, and no configuration; name the one that is meant.");
      }
      config.weights_file = archives[0];
    }
    CLIPTAG_RETURN_IF_ERROR(ReadOpenAiConfig(config.weights_file, &config));
    return config;
  }
  // Some repositories hold a model in both layouts: open_clip is the reference, if its weights are
  // there too. A file that is named tells by its own name.
  const bool use_open_clip =
      has_open_clip &&
      (!has_hugging_face || (named ? fs::path(path).filename().string().starts_with("open_clip")
                                   : PrefersOpenClip(path)));
  CLIPTAG_RETURN_IF_ERROR(use_open_clip ? ReadOpenClipConfig(open_clip, &config)
                                        : ReadHuggingFaceConfig(hugging_face, &config));
  return config;
}

}  // namespace

Result<ModelConfig> ReadModelConfig(const std::string& path) {
  try {
    CLIPTAG_ASSIGN_OR_RETURN(ModelConfig config, Read(path));
    config.warnings = NameContradictions(config);
    return config;
  } catch (const std::exception& e) {  // a field of a JSON type that nobody expects there
    return DataLoss("Cannot read the configuration in " + path + ": " + e.what() + ".");
  }
}

Result<std::unique_ptr<Weights>> OpenWeights(const ModelConfig& config) {
  if (!config.weights_file.empty()) return Weights::OpenFile(config.weights_file);
  return Weights::Open(config.path, config.layout);
}

}  // namespace cliptag
