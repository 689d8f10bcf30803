#include "models/config/find_model.h"

#include <dlfcn.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <set>

#include "models/io/cache_directory.h"
#include "models/weights/weights.h"

namespace cliptag {
namespace {

namespace fs = std::filesystem;

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// The models of the source tree, if this object lies in a build folder: found from there, since a
// path that is written into an installed object could be made by somebody else later.
fs::path SourceModels() {
  std::error_code error;
  Dl_info info;
  if (dladdr(reinterpret_cast<void*>(&SourceModels), &info) == 0) return {};
  fs::path object = fs::canonical(info.dli_fname, error);
  if (error) object = fs::canonical("/proc/self/exe", error);
  if (error) return {};
  const fs::path build = object.parent_path().parent_path().parent_path();  // plugin/cli/cliptag
  return fs::canonical(build / "models" / "source", error);
}

std::vector<fs::path> SearchPath() {
  std::vector<fs::path> out;
  std::string list = Environment("CLIPTAG_MODEL_PATH");
  while (!list.empty()) {
    const size_t colon = std::min(list.find(':'), list.size());
    if (colon > 0) out.emplace_back(list.substr(0, colon));
    list.erase(0, std::min(colon + 1, list.size()));
  }
  if (const std::string cache = UserCacheDirectory(); !cache.empty()) {
    out.push_back(fs::path(cache) / "models");
  }
  out.emplace_back(CLIPTAG_INSTALLED_MODELS);
  if (const fs::path source = SourceModels(); !source.empty()) out.push_back(source);
  return out;
}

// Hidden directories are models that are still on their way (plugin/cli/hub/pull.h).
bool IsModel(const fs::path& directory) {
  std::error_code error;
  if (directory.filename().string().starts_with(".")) return false;
  return fs::exists(directory / "config.json", error) ||
         fs::exists(directory / "open_clip_config.json", error) ||
         !FindArchives(directory.string()).empty();
}

// What OpenAI's models are called elsewhere ("ViT-B/32", "vit_b_32"), in letters and digits alone,
// and where they are to be had.
struct KnownModel {
  const char* letters;
  const char* repository;
  const char* name;
};
constexpr KnownModel kKnownModels[] = {
    {"vitb32", "timm/vit_base_patch32_clip_224.openai", "vit-b-32"},
    {"vitb16", "timm/vit_base_patch16_clip_224.openai", "vit-b-16"},
    {"vitl14", "timm/vit_large_patch14_clip_224.openai", "vit-l-14"},
    {"vitl14336", "timm/vit_large_patch14_clip_336.openai", "vit-l-14-336"},
    {"rn50", "timm/resnet50_clip.openai", "rn50"},
    {"rn101", "timm/resnet101_clip.openai", "rn101"}};

const KnownModel* FindKnown(const std::string& name) {
  std::string letters;
  for (const unsigned char c : name) {
    if (std::isalnum(c)) letters += static_cast<char>(std::tolower(c));
  }
  for (const char* ending : {"px", "quickgelu", "openai"}) {
    if (letters.ends_with(ending)) letters.resize(letters.size() - std::strlen(ending));
  }
  const auto known =
      std::find_if(std::begin(kKnownModels), std::end(kKnownModels),
                   [&](const KnownModel& model) { return model.letters == letters; });
  return known == std::end(kKnownModels) ? nullptr : known;
}

std::string PullAdvice(const std::string& name) {
  const KnownModel* known = FindKnown(name);
  if (known == nullptr) {
    return "`cliptag models list` shows which there are, `cliptag models pull ORG/NAME` gets one";
  }
  return std::string("`cliptag models pull ") + known->repository + " --name " + known->name +
         "` gets it, as model=" + known->name;
}

std::string Sentence(const std::string& name, const std::vector<fs::path>& searched) {
  std::string message = "There is no model '" + name + "' in ";
  std::set<std::string> seen;
  bool first = true;
  for (const fs::path& path : searched) {
    if (!seen.insert(path.string()).second) continue;
    message += (first ? "" : ", ") + path.string();
    first = false;
  }
  return message + "; " + PullAdvice(name) + "; a directory elsewhere is named with a slash in it.";
}

// ORG/NAME is how a hub calls its models, and no path here.
std::string HubAdvice(const std::string& value) {
  if (FindKnown(value) != nullptr) return " (" + PullAdvice(value) + ")";
  const size_t slash = value.find('/');
  const bool one = slash == value.rfind('/') && slash > 0 && slash + 1 < value.size();
  if (!one || value[0] == '.' || value[0] == '~') return "";
  return " (of a model hub? `cliptag models pull " + value + "` gets it, and it is then called " +
         value.substr(slash + 1) + ")";
}

}  // namespace

Result<std::string> FindModel(const std::string& name_or_path) {
  std::error_code error;
  if (name_or_path.empty()) {
    return InvalidArgument("The model's name is empty; 'starter' is always there.");
  }
  if (name_or_path.find('/') != std::string::npos) {
    if (fs::is_directory(name_or_path, error) || fs::is_regular_file(name_or_path, error)) {
      return name_or_path;
    }
    return NotFound("There is no model directory " + name_or_path + HubAdvice(name_or_path) +
                    "; a name without a slash is looked up among the installed models.");
  }
  const std::vector<fs::path> searched = SearchPath();
  if (name_or_path != "." && name_or_path != "..") {
    for (const fs::path& base : searched) {
      if (IsModel(base / name_or_path)) return (base / name_or_path).string();
    }
  }
  return NotFound(Sentence(name_or_path, searched));
}

std::vector<std::pair<std::string, std::string>> ListModels() {
  std::vector<std::pair<std::string, std::string>> out;
  std::set<std::string> seen;
  for (const fs::path& base : SearchPath()) {
    std::vector<std::pair<std::string, std::string>> here;
    std::error_code error;
    for (fs::directory_iterator it(base, error), end; !error && it != end; it.increment(error)) {
      const std::string name = it->path().filename().string();
      if (IsModel(it->path()) && seen.insert(name).second) here.emplace_back(name, it->path());
    }
    std::sort(here.begin(), here.end());
    out.insert(out.end(), here.begin(), here.end());
  }
  return out;
}

}  // namespace cliptag
