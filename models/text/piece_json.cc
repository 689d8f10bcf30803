// tokenizer.json's Unigram and BPE models with what its normalizer and pre_tokenizer do to a text.
// Only what sentencepiece's vocabularies are written with is known; the rest is refused by name.
#include <cstring>
#include <optional>
#include <set>
#include <string_view>
#include <unordered_map>

#include "models/text/merges.h"
#include "models/text/piece_bpe.h"
#include "models/text/piece_model.h"

namespace cliptag {
namespace {

constexpr char kSpace[] = "\xE2\x96\x81";  // U+2581

// What happens to a text before the model.
struct Steps {
  std::string charsmap;  // sentencepiece's own map of characters, its bytes
  bool lower = false;
  bool prefix = false;   // a space before the text
  bool replace = false;  // spaces become U+2581
};

const Json& Field(const Json& object, const char* key) {
  static const Json kNull;
  if (!object.is_object()) return kNull;
  const auto it = object.find(key);
  return it == object.end() ? kNull : *it;
}

std::string Text(const Json& value) {
  return value.is_string() ? value.get<std::string>() : std::string();
}

std::optional<std::string> DecodeBase64(std::string_view text) {
  constexpr std::string_view kAlphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  while (!text.empty() && text.back() == '=') text.remove_suffix(1);
  std::string out;
  uint32_t bits = 0;
  int count = 0;
  for (char c : text) {
    const size_t value = kAlphabet.find(c);
    if (value == std::string_view::npos) return std::nullopt;
    bits = bits << 6 | static_cast<uint32_t>(value);
    count += 6;
    if (count < 8) continue;
    count -= 8;
    out += static_cast<char>(bits >> count & 0xFF);
  }
  return out;
}

Status Unknown(const std::string& file, const char* part, const Json& value) {
  std::string shown = value.dump();
  if (shown.size() > 200) shown = shown.substr(0, 200) + "...";
  return Unsupported(file + ": " + part + " " + shown + " is not supported.");
}

Status ReadNormalizer(const Json& value, const std::string& file, Steps* steps) {
  if (value.is_null()) return {};
  const std::string type = Text(Field(value, "type"));
  if (type == "Sequence") {
    for (const Json& one : Field(value, "normalizers")) {
      CLIPTAG_RETURN_IF_ERROR(ReadNormalizer(one, file, steps));
    }
    return {};
  }
  if (type == "Precompiled") {
    const auto map = DecodeBase64(Text(Field(value, "precompiled_charsmap")));
    if (!map) return DataLoss(file + ": normalizer.precompiled_charsmap is no base64.");
    steps->charsmap = *map;
    return {};
  }
  if (type == "Lowercase") {
    steps->lower = true;
    return {};
  }
  if (type == "Prepend" && Field(value, "prepend") == kSpace) {
    steps->prefix = true;
    return {};
  }
  const Json& pattern = Field(value, "pattern");
  if (type == "Replace" && pattern == Json{{"String", " "}} && Field(value, "content") == kSpace) {
    steps->replace = true;
    return {};
  }
  // Collapses spaces, which cleaned texts have had done.
  if (type == "Replace" && pattern == Json{{"Regex", " {2,}"}}) return {};
  if (type == "Strip") return {};
  return Unknown(file, "normalizer", value);
}

Status ReadPreTokenizer(const Json& value, const std::string& file, Steps* steps) {
  if (value.is_null()) return {};
  const std::string type = Text(Field(value, "type"));
  if (type == "Sequence") {
    for (const Json& one : Field(value, "pretokenizers")) {
      CLIPTAG_RETURN_IF_ERROR(ReadPreTokenizer(one, file, steps));
    }
    return {};
  }
  if (type == "WhitespaceSplit") return {};
  if (type == "Metaspace" && Field(value, "replacement") == kSpace) {
    const Json& scheme = Field(value, "prepend_scheme");
    const Json& older = Field(value, "add_prefix_space");
    steps->prefix = scheme.is_string() ? scheme != "never" : older != false;
    steps->replace = true;
    return {};
  }
  // Gemma's, which finds no space left to split at.
  if (type == "Split" && Field(value, "pattern") == Json{{"String", " "}}) return {};
  return Unknown(file, "pre_tokenizer", value);
}

// --- sentencepiece's own file format (sentencepiece_model.proto), as far as it is needed ---------

void AppendVarint(uint64_t value, std::string* out) {
  for (; value >= 0x80; value >>= 7) out->push_back(static_cast<char>(value | 0x80));
  out->push_back(static_cast<char>(value));
}
void AppendNumber(int field, uint64_t value, std::string* out) {
  AppendVarint(static_cast<uint64_t>(field) << 3, out);
  AppendVarint(value, out);
}
void AppendBytes(int field, const std::string& bytes, std::string* out) {
  AppendVarint(static_cast<uint64_t>(field) << 3 | 2, out);
  AppendVarint(bytes.size(), out);
  *out += bytes;
}
void AppendFloat(int field, float value, std::string* out) {
  AppendVarint(static_cast<uint64_t>(field) << 3 | 5, out);
  char bytes[4];
  std::memcpy(bytes, &value, 4);
  out->append(bytes, 4);
}

enum PieceType { kNormal = 1, kUnknown = 2, kControl = 3, kByte = 6 };

Result<std::unique_ptr<PieceModel>> ReadUnigram(const Json& root, const Steps& steps,
                                                const std::string& file) {
  const Json& model = Field(root, "model");
  const Json& vocab = Field(model, "vocab");
  const Json& unknown = Field(model, "unk_id");
  if (!vocab.is_array() || !unknown.is_number_unsigned()) {
    return DataLoss(file + ": the Unigram model has no list model.vocab or no model.unk_id.");
  }
  if (steps.lower) return Unsupported(file + ": a Unigram model that lowers is not supported.");
  std::set<std::string> special;
  for (const Json& token : Field(root, "added_tokens")) {
    if (Field(token, "special") == true) special.insert(Text(Field(token, "content")));
  }
  const bool bytes = Field(model, "byte_fallback") == true;
  std::string proto;
  for (size_t i = 0; i < vocab.size(); ++i) {
    const Json& entry = vocab[i];
    if (!entry.is_array() || entry.size() != 2 || !entry[0].is_string() || !entry[1].is_number()) {
      return DataLoss(file + ": entry " + std::to_string(i) +
                      " of model.vocab is no piece with its score.");
    }
    const std::string piece = entry[0].get<std::string>();
    const bool is_byte = bytes && piece.size() == 6 && piece.starts_with("<0x");
    std::string one;
    AppendBytes(1, piece, &one);
    AppendFloat(2, entry[1].get<float>(), &one);
    AppendNumber(3,
                 i == unknown.get<size_t>() ? kUnknown
                 : special.count(piece) > 0 ? kControl
                 : is_byte                  ? kByte
                                            : kNormal,
                 &one);
    AppendBytes(1, one, &proto);
  }
  std::string trainer, normalizer;
  AppendNumber(3, 1, &trainer);  // model_type: unigram
  AppendNumber(35, bytes ? 1 : 0, &trainer);
  AppendBytes(2, trainer, &proto);
  if (!steps.charsmap.empty()) AppendBytes(2, steps.charsmap, &normalizer);
  AppendNumber(3, steps.prefix ? 1 : 0, &normalizer);  // add_dummy_prefix
  AppendBytes(3, normalizer, &proto);
  return OpenSentencePiece(proto, file);
}

Result<std::unique_ptr<PieceModel>> ReadBpe(const Json& root, const Steps& steps,
                                            const std::string& file) {
  const Json& model = Field(root, "model");
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix", "dropout"}) {
    const Json& value = Field(model, key);
    if (!value.is_null() && value != "" && value != 0) {
      return Unknown(file, (std::string("model.") + key).c_str(), value);
    }
  }
  if (!steps.replace || !steps.charsmap.empty()) {
    return Unsupported(
        file +
        ": a BPE model without the end_of_word_suffix of CLIP's, and without Gemma's "
        "normalizer, is not supported.");
  }
  std::unordered_map<std::string, int32_t> vocab;
  for (const auto& [piece, id] : Field(model, "vocab").items()) {
    if (!id.is_number_unsigned() || id.get<uint64_t>() > INT32_MAX) {
      return DataLoss(file + ": the id of token '" + piece + "' is no whole number.");
    }
    vocab.emplace(piece, id.get<int32_t>());
  }
  for (const Json& token : Field(root, "added_tokens")) {
    const Json& id = Field(token, "id");
    if (id.is_number_unsigned() && id.get<uint64_t>() <= INT32_MAX) {
      vocab.emplace(Text(Field(token, "content")), id.get<int32_t>());
    }
  }
  CLIPTAG_ASSIGN_OR_RETURN(const Merges merges, ReadMergesArray(Field(model, "merges"), file));
  PieceBpe::Options options;
  options.lower = steps.lower;
  options.prefix = steps.prefix;
  options.byte_fallback = Field(model, "byte_fallback") == true;
  options.fuse_unknown = Field(model, "fuse_unk") == true;
  options.unknown = Text(Field(model, "unk_token"));
  CLIPTAG_ASSIGN_OR_RETURN(auto bpe, PieceBpe::Create(std::move(vocab), merges, options, file));
  return std::unique_ptr<PieceModel>(std::move(bpe));
}

}  // namespace

Result<std::unique_ptr<PieceModel>> PieceModelFromJson(const Json& root, const std::string& file) {
  Steps steps;
  CLIPTAG_RETURN_IF_ERROR(ReadNormalizer(Field(root, "normalizer"), file, &steps));
  CLIPTAG_RETURN_IF_ERROR(ReadPreTokenizer(Field(root, "pre_tokenizer"), file, &steps));
  const Json& type = Field(Field(root, "model"), "type");
  if (type == "Unigram") return ReadUnigram(root, steps, file);
  if (type == "BPE" || type.is_null()) return ReadBpe(root, steps, file);
  return Unsupported(file + ": model.type " + type.dump() +
                     " is not supported; CLIP's BPE, Unigram and BPE over characters are.");
}

}  // namespace cliptag
