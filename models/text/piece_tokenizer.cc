#include "models/text/piece_tokenizer.h"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <utility>

#include "models/text/piece_model.h"
#include "models/text/text_clean.h"
#include "models/text/unicode.h"

namespace cliptag {
namespace {

// What stands around a text's pieces.
struct Frame {
  std::vector<int32_t> before, after;
  int32_t pad = 0;
  bool pad_left = false;
};

class PieceTokenizer : public Tokenizer {
 public:
  PieceTokenizer(std::unique_ptr<PieceModel> model, Frame frame, const TextConfig& config)
      : model_(std::move(model)),
        frame_(std::move(frame)),
        context_length_(static_cast<size_t>(config.context_length)),
        clean_(config.clean) {}

  Result<Tokens> Encode(std::string_view text) const override {
    const std::string clean = EncodeUtf8(CleanText(text, clean_));
    CLIPTAG_ASSIGN_OR_RETURN(std::vector<int32_t> pieces, model_->Encode(clean));
    const size_t room = context_length_ - frame_.before.size() - frame_.after.size();
    Tokens out;
    out.truncated = pieces.size() > room || text.size() > kMaxTextBytes;
    if (pieces.size() > room) pieces.resize(room);
    std::vector<int32_t>& ids = out.ids;
    ids = frame_.before;
    ids.insert(ids.end(), pieces.begin(), pieces.end());
    out.eot = static_cast<int>(ids.size());
    ids.insert(ids.end(), frame_.after.begin(), frame_.after.end());
    const size_t padding = context_length_ - ids.size();
    ids.insert(frame_.pad_left ? ids.begin() : ids.end(), padding, frame_.pad);
    if (frame_.pad_left) out.eot += static_cast<int>(padding);
    // Without a token at the end a text may fill the context.
    out.eot = std::min(out.eot, static_cast<int>(context_length_) - 1);
    return out;
  }

 private:
  const std::unique_ptr<PieceModel> model_;
  const Frame frame_;
  const size_t context_length_;
  const TextClean clean_;
};

// What tokenizer_config.json and special_tokens_map.json say, and what transformers' classes take
// where they say nothing.
struct Settings {
  std::string kind;  // tokenizer_class
  std::string bos, eos, pad;
  std::optional<bool> add_bos, add_eos;
  std::string padding_side;
};

std::string TokenName(const Json& root, const char* key) {
  if (!root.is_object() || !root.contains(key)) return "";
  const Json& value = root[key];
  if (value.is_object() && value.contains("content") && value["content"].is_string()) {
    return value["content"].get<std::string>();
  }
  return value.is_string() ? value.get<std::string>() : "";
}

Result<Settings> ReadSettings(const std::string& directory) {
  Settings settings;
  for (const char* file : {"special_tokens_map.json", "tokenizer_config.json"}) {
    const std::string path = directory + "/" + file;
    std::error_code error;
    if (!std::filesystem::exists(path, error)) continue;
    CLIPTAG_ASSIGN_OR_RETURN(const Json root, ReadJsonFile(path));
    const auto take = [&](const char* key, std::string* out) {
      const std::string name = TokenName(root, key);
      if (!name.empty()) *out = name;
    };
    take("bos_token", &settings.bos);
    take("eos_token", &settings.eos);
    take("pad_token", &settings.pad);
    take("tokenizer_class", &settings.kind);
    take("padding_side", &settings.padding_side);
    const auto flag = [&](const char* key, std::optional<bool>* out) {
      if (root.is_object() && root.contains(key) && root[key].is_boolean()) *out = root[key];
    };
    flag("add_bos_token", &settings.add_bos);
    flag("add_eos_token", &settings.add_eos);
  }
  return settings;
}

bool IsGemma(const Settings& settings, const PieceModel& model) {
  if (settings.kind.find("Gemma") != std::string::npos) return true;
  if (settings.kind.find("Siglip2") != std::string::npos) return true;
  return settings.kind.empty() && model.Find("</s>") < 0 && model.Find("<eos>") >= 0;
}

Result<int32_t> Id(const PieceModel& model, const std::string& token, const std::string& file) {
  const int32_t id = model.Find(token);
  if (id < 0) return DataLoss(file + " lacks the token '" + token + "'.");
  return id;
}

// The tokens around a text by tokenizer.json's post_processor, a template of one sequence.
Status ReadTemplate(const Json& processor, const PieceModel& model, const std::string& file,
                    Frame* frame) {
  const Json type = processor.is_object() ? processor.value("type", Json()) : Json();
  if (type == "Sequence") {
    for (const Json& one : processor.value("processors", Json::array())) {
      CLIPTAG_RETURN_IF_ERROR(ReadTemplate(one, model, file, frame));
    }
    return {};
  }
  if (processor.is_null()) return {};
  if (type != "TemplateProcessing") {
    return Unsupported(file + ": post_processor " + type.dump() +
                       " is not supported; TemplateProcessing is.");
  }
  std::vector<int32_t>* side = &frame->before;
  for (const Json& part : processor.value("single", Json::array())) {
    if (part.contains("Sequence")) {
      side = &frame->after;
    } else if (part.contains("SpecialToken")) {
      CLIPTAG_ASSIGN_OR_RETURN(const int32_t id,
                               Id(model, TokenName(part["SpecialToken"], "id"), file));
      side->push_back(id);
    }
  }
  return {};
}

// `root` is the tokenizer.json, null for a sentencepiece model alone.
Result<std::unique_ptr<Tokenizer>> Assemble(std::unique_ptr<PieceModel> model, const Json& root,
                                            const std::string& file, const ModelConfig& config) {
  CLIPTAG_ASSIGN_OR_RETURN(Settings settings, ReadSettings(config.path));
  const bool gemma = IsGemma(settings, *model);
  const bool padded_with_end = settings.kind.empty() || settings.kind == "SiglipTokenizer";
  if (settings.eos.empty()) settings.eos = gemma ? "<eos>" : "</s>";
  if (settings.bos.empty()) settings.bos = gemma ? "<bos>" : "<s>";
  if (settings.pad.empty()) settings.pad = padded_with_end && !gemma ? settings.eos : "<pad>";
  Frame frame;
  frame.pad_left = settings.padding_side.empty() ? gemma : settings.padding_side == "left";
  CLIPTAG_ASSIGN_OR_RETURN(frame.pad, Id(*model, settings.pad, file));
  if (root.is_null()) {
    settings.add_bos = settings.add_bos.value_or(gemma);
    settings.add_eos = settings.add_eos.value_or(!gemma);
  } else {
    CLIPTAG_RETURN_IF_ERROR(
        ReadTemplate(root.value("post_processor", Json()), *model, file, &frame));
  }
  // Where these are given, they win over a template.
  const auto apply = [&](std::optional<bool> add, const std::string& token,
                         std::vector<int32_t>* side) -> Status {
    if (!add) return {};
    side->clear();
    if (!*add) return {};
    CLIPTAG_ASSIGN_OR_RETURN(const int32_t id, Id(*model, token, file));
    side->push_back(id);
    return {};
  };
  if (gemma || root.is_null()) {
    CLIPTAG_RETURN_IF_ERROR(apply(settings.add_bos, settings.bos, &frame.before));
    CLIPTAG_RETURN_IF_ERROR(apply(settings.add_eos, settings.eos, &frame.after));
  }
  // Vocabularies may hold more than the model knows (T5's extra ids), but not around every text.
  std::vector<int32_t> around = frame.before;
  around.insert(around.end(), frame.after.begin(), frame.after.end());
  around.push_back(frame.pad);
  for (const int32_t id : around) {
    if (id < config.text.vocab_size) continue;
    return DataLoss(file + " begins, ends or fills texts with the token " + std::to_string(id) +
                    ", but the model's vocab_size is " + std::to_string(config.text.vocab_size) +
                    "; the files do not belong together.");
  }
  if (frame.before.size() + frame.after.size() >= static_cast<size_t>(config.text.context_length)) {
    return InvalidArgument(config.path + ": a context length of " +
                           std::to_string(config.text.context_length) +
                           " is too short for any text.");
  }
  return std::unique_ptr<Tokenizer>(
      new PieceTokenizer(std::move(model), std::move(frame), config.text));
}

}  // namespace

Result<std::unique_ptr<Tokenizer>> LoadPieceTokenizer(const Json& root, const std::string& file,
                                                      const ModelConfig& config) {
  CLIPTAG_ASSIGN_OR_RETURN(auto model, PieceModelFromJson(root, file));
  return Assemble(std::move(model), root, file, config);
}

Result<std::unique_ptr<Tokenizer>> LoadPieceTokenizer(const std::string& file,
                                                      const ModelConfig& config) {
  CLIPTAG_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(file));
  CLIPTAG_ASSIGN_OR_RETURN(auto model, OpenSentencePiece(bytes, file));
  return Assemble(std::move(model), Json(), file, config);
}

}  // namespace cliptag
