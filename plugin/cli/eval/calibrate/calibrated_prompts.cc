#include "plugin/cli/eval/calibrate/calibrated_prompts.h"

#include <filesystem>
#include <nlohmann/json.hpp>
#include <system_error>

#include "kernels/base/replace_file.h"
#include "models/io/input_file.h"

namespace cliptag {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

// What the file says, or the same said in JSON.
Result<Json> Original(const PromptSource& source, const PromptSpec& spec) {
  std::string text;
  if (!source.prompts_file.empty()) {
    CLIPTAG_ASSIGN_OR_RETURN(text, ReadFile(source.prompts_file));
    if (text.rfind("\xEF\xBB\xBF", 0) == 0) text.erase(0, 3);
  }
  const size_t first = text.find_first_not_of(" \t\r\n\f\v");
  if (first != std::string::npos && text[first] == '{') {
    Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
    if (!json.is_object() || !json.contains("tags") || json["tags"].size() != spec.tags.size()) {
      return DataLoss("the prompts file '" + source.prompts_file +
                      "' has changed while it was calibrated; run it again");
    }
    return json;
  }
  Json json = {{"tags", Json::array()}};
  for (const TagSpec& tag : spec.tags) json["tags"].push_back({{"label", tag.label}});
  return json;
}

// The folder that relative paths in a file begin at, in one spelling.
fs::path FolderOf(const std::string& file) {
  std::error_code ignored;
  return fs::weakly_canonical(fs::absolute(file, ignored).parent_path(), ignored);
}

void MakeAbsolute(const fs::path& folder, Json* images) {
  if (images->is_array()) {
    for (Json& image : *images) MakeAbsolute(folder, &image);
  } else {
    *images = (folder / images->get<std::string>()).string();
  }
}

Status OfOutput(const std::string& path, const Status& status) {
  if (status.ok()) return {};
  return NotFound("cannot write '" + path + "': " + status.message());
}

}  // namespace

Status CheckCalibratedOutput(const PromptSpec& spec, const std::string& output) {
  if (!spec.bank.file.empty()) {
    return Unsupported("thresholds cannot be written into the bank '" + spec.bank.file +
                       "'; calibrate the prompts file that it was made of, and export it again");
  }
  return OfOutput(output, CheckReplaceable(output));
}

Status WriteCalibratedPrompts(const PromptSource& source, const PromptSpec& spec,
                              const std::vector<Calibration>& calibrations,
                              const std::string& output) {
  CLIPTAG_ASSIGN_OR_RETURN(Json json, Original(source, spec));
  if (!source.templates.empty() && !json.contains("templates")) json["templates"] = spec.templates;
  if (!source.background.empty() && !json.contains("background")) {
    json["background"] = spec.background;
  }
  const fs::path folder = FolderOf(source.prompts_file);
  const bool moves = !source.prompts_file.empty() && FolderOf(output) != folder;
  for (size_t i = 0; i < calibrations.size(); ++i) {
    Json& tag = json["tags"][i];
    if (moves && tag.contains("images")) MakeAbsolute(folder, &tag["images"]);
    if (!calibrations[i].reached) continue;
    tag["threshold"] = calibrations[i].threshold;
    tag["off-threshold"] = calibrations[i].off_threshold;
  }
  const std::string text = json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
  return OfOutput(output, ReplaceFile(output, text));
}

}  // namespace cliptag
