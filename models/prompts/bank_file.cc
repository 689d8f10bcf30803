#include "models/prompts/bank_file.h"

#include <cmath>
#include <cstring>
#include <map>
#include <span>
#include <utility>

#include "kernels/base/replace_file.h"
#include "models/config/config.h"
#include "models/io/json.h"
#include "models/weights/safetensors.h"

namespace cliptag {
namespace {

constexpr char kFormat[] = "cliptag-prompt-bank-1";
constexpr char kTensor[] = "embeddings";

// The spec as a prompts file.
Json PromptsJson(const PromptSpec& spec) {
  Json json = {{"tags", Json::array()}};
  if (!spec.templates.empty()) json["templates"] = spec.templates;
  if (!spec.background.empty()) json["background"] = spec.background;
  for (const TagSpec& tag : spec.tags) {
    Json one = {{"label", tag.label}};
    if (!tag.prompts.empty() && tag.prompts != std::vector{tag.label}) one["prompts"] = tag.prompts;
    if (!tag.negatives.empty()) one["negative"] = tag.negatives;
    if (tag.threshold >= 0) one["threshold"] = tag.threshold;
    if (tag.off_threshold >= 0) one["off-threshold"] = tag.off_threshold;
    if (tag.min_duration_s >= 0) one["min-duration"] = tag.min_duration_s;
    json["tags"].push_back(std::move(one));
  }
  return json;
}

std::string Header(const PromptSpec& spec, size_t dim) {
  const size_t rows = spec.tags.size();
  const Json json = {
      {"__metadata__",
       {{"format", kFormat},
        {"model", spec.bank.model},
        {"model_identity", spec.bank.identity},
        {"prompts", PromptsJson(spec).dump(-1, ' ', false, Json::error_handler_t::replace)}}},
      {kTensor,
       {{"dtype", "F32"},
        {"shape", {rows, dim}},
        {"data_offsets", {0, rows * dim * sizeof(float)}}}}};
  std::string text = json.dump(-1, ' ', false, Json::error_handler_t::replace);
  text.resize((text.size() + 7) / 8 * 8, ' ');  // so that the numbers are aligned
  std::string length(8, '\0');
  const uint64_t size = text.size();
  for (int i = 0; i < 8; ++i) length[i] = static_cast<char>(size >> 8 * i & 0xff);
  return length + text;
}

Status OfBank(const std::string& path, const Status& status) {
  if (status.ok()) return {};
  return NotFound("Cannot write the bank '" + path + "': " + status.message() + ".");
}

}  // namespace

bool LooksLikeBank(std::string_view file) {
  return file.size() > 8 && file[8] == '{' && file.find('\0') < 8;
}

Result<std::shared_ptr<const std::vector<float>>> UnitRow(std::vector<float> values,
                                                          const std::string& what) {
  double squares = 0;
  for (const float value : values) squares += double{value} * value;
  const double length = std::sqrt(squares);
  if (!(length > 1e-9) || !std::isfinite(length)) {
    return DataLoss(what + " has the length " + std::to_string(length) +
                    ", so it has no direction.");
  }
  for (float& value : values) value = static_cast<float>(value / length);
  return std::make_shared<const std::vector<float>>(std::move(values));
}

Status CheckNoPictures(const PromptSpec& spec) {
  for (const TagSpec& tag : spec.tags) {
    if (!tag.images.empty()) {
      return Unsupported("The tag \"" + tag.label +
                         "\" has pictures, which a bank does not hold; leave it out of the bank.");
    }
  }
  return {};
}

Result<PromptSpec> ReadBankFile(const std::string& path) {
  CLIPTAG_ASSIGN_OR_RETURN(const InputFile file, InputFile::Open(path));
  CLIPTAG_ASSIGN_OR_RETURN(const std::string bytes, file.ReadAll(kMaxBankBytes, "a prompt bank"));
  return ParseBankFile(bytes, path);
}

Result<PromptSpec> ParseBankFile(std::string_view bytes, const std::string& path) {
  std::map<std::string, std::string> metadata;
  CLIPTAG_ASSIGN_OR_RETURN(const auto tensors,
                           ParseSafetensors(std::as_bytes(std::span(bytes)), path, &metadata));
  const auto text = [&](const char* key) {
    const auto it = metadata.find(key);
    return it == metadata.end() ? std::string() : it->second;
  };
  if (text("format") != kFormat) {
    return InvalidArgument(path + " is no prompt bank: its metadata have no format \"" + kFormat +
                           "\"; make one with `cliptag bank`.");
  }
  CLIPTAG_ASSIGN_OR_RETURN(PromptSpec spec,
                           ParsePromptsFile(text("prompts"), path + " (metadata prompts)"));
  spec.bank = {path, text("model"), text("model_identity")};
  if (spec.bank.identity.empty()) {
    return DataLoss(path + " does not say in model_identity which model it was made for.");
  }
  const auto found = tensors.find(kTensor);
  if (found == tensors.end()) return NotFound(path + ": tensor '" + kTensor + "' is missing.");
  const TensorInfo& tensor = found->second;
  const int64_t rows = static_cast<int64_t>(spec.tags.size());
  if (tensor.dtype != "F32" || tensor.shape.size() != 2 || tensor.shape[0] != rows ||
      tensor.shape[1] < 1) {
    return DataLoss(path + ": tensor '" + kTensor + "' is not one row of F32 for each of " +
                    std::to_string(rows) + " labels.");
  }
  for (size_t i = 0; i < spec.tags.size(); ++i) {
    TagSpec& tag = spec.tags[i];
    if (!tag.images.empty()) return InvalidArgument(path + " names pictures; no bank can.");
    std::vector<float> values(static_cast<size_t>(tensor.shape[1]));
    const size_t size = values.size() * sizeof(float);
    std::memcpy(values.data(), bytes.data() + tensor.begin + i * size, size);
    CLIPTAG_ASSIGN_OR_RETURN(
        tag.row, UnitRow(std::move(values), path + ": the embedding of \"" + tag.label + "\""));
  }
  return spec;
}

Status CheckBankOutput(const std::string& path) { return OfBank(path, CheckReplaceable(path)); }

Status WriteBankFile(const std::string& path, const PromptSpec& spec) {
  CLIPTAG_RETURN_IF_ERROR(CheckNoPictures(spec));
  const size_t dim = spec.tags.empty() || !spec.tags[0].row ? 0 : spec.tags[0].row->size();
  for (const TagSpec& tag : spec.tags) {
    if (!tag.row || tag.row->size() != dim) {
      return Internal("The tag \"" + tag.label + "\" has no embedding.");
    }
  }
  std::string file = Header(spec, dim);
  for (const TagSpec& tag : spec.tags) {
    file.append(reinterpret_cast<const char*>(tag.row->data()), dim * sizeof(float));
  }
  return OfBank(path, ReplaceFile(path, file));
}

Status FitToModel(const ModelConfig& config, const std::string& identity, PromptSpec* spec) {
  if (spec->templates.empty()) spec->templates = config.templates;
  const BankOrigin& bank = spec->bank;
  if (bank.file.empty() || bank.identity == identity) return {};
  if (bank.identity.size() < identity.size()) {
    return InvalidArgument("The bank " + bank.file +
                           " was made by an earlier version, whose identities of models could be "
                           "forged: make it again.");
  }
  const std::string maker = bank.model.empty() ? "another model" : "the model " + bank.model;
  return InvalidArgument("The bank " + bank.file + " was made for " + maker + " (identity " +
                         bank.identity + "), not for " + config.name + " (" + identity +
                         "): embeddings of one model mean nothing to another. Take that model, or "
                         "make the bank again for this one.");
}

}  // namespace cliptag
