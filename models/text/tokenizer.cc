#include "models/text/tokenizer.h"

#include <filesystem>
#include <optional>
#include <span>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "models/io/json.h"
#include "models/text/added_tokens.h"
#include "models/text/bpe.h"
#include "models/text/embedded.h"
#include "models/text/merges.h"
#include "models/text/piece_tokenizer.h"
#include "models/text/text_clean.h"
#include "models/text/unicode.h"

namespace cliptag {
namespace {

using Vocabulary = std::unordered_map<std::string, int32_t>;

// Case as the reference's pattern ignores it; the long s is the only other character that folds to
// a letter which the pattern spells out.
char32_t Fold(char32_t c) {
  if (c >= 'A' && c <= 'Z') return c | 0x20;
  return c == 0x17F ? U's' : c;
}

bool StartsWith(std::u32string_view text, size_t at, std::u32string_view what) {
  if (text.size() - at < what.size()) return false;
  for (size_t i = 0; i < what.size(); ++i) {
    if (Fold(text[at + i]) != what[i]) return false;
  }
  return true;
}

struct Special {
  std::u32string text;  // folded
  int32_t id;
};

class ClipTokenizer : public Tokenizer {
 public:
  ClipTokenizer(Bpe bpe, Special bos, Special eos, std::span<const AddedToken> added,
                const TextConfig& config)
      : bpe_(std::move(bpe)),
        specials_{std::move(bos), std::move(eos)},
        context_length_(static_cast<size_t>(config.context_length)),
        clean_(config.clean) {
    // Punctuation that the cleaning takes out would be missing in the token, too.
    const TextClean clean = clean_ == TextClean::kWhitespace ? clean_ : TextClean::kLower;
    for (const AddedToken& token : added) {
      const std::u32string text =
          token.normalized ? CleanText(token.text, clean) : DecodeUtf8(token.text);
      if (text.empty()) continue;
      (token.normalized ? cleaned_ : exact_).Add(text, token.id, token.single_word);
    }
  }

  Result<Tokens> Encode(std::string_view text) const override {
    Tokens out;
    std::vector<int32_t>& ids = out.ids;
    ids.push_back(specials_[0].id);
    EncodeText(text, &ids);
    ids.push_back(specials_[1].id);
    out.truncated = ids.size() > context_length_ || text.size() > kMaxTextBytes;
    const bool cut = ids.size() > context_length_;
    ids.resize(context_length_, 0);
    if (cut) ids.back() = specials_[1].id;
    // A text may spell the end token out; the first one counts.
    while (ids[out.eot] != specials_[1].id) ++out.eot;
    return out;
  }

 private:
  // Added tokens first, in the text as it is and then in what is left of it, cleaned.
  void EncodeText(std::string_view text, std::vector<int32_t>* ids) const {
    if (exact_.empty()) return EncodeClean(CleanText(text, clean_), ids);
    const std::u32string whole = DecodeUtf8(text.substr(0, kMaxTextBytes));
    ForParts(whole, exact_, ids, [&](std::u32string_view part) {
      EncodeClean(CleanText(EncodeUtf8(part), clean_), ids);
    });
  }

  void EncodeClean(std::u32string_view text, std::vector<int32_t>* ids) const {
    ForParts(text, cleaned_, ids, [&](std::u32string_view part) {
      for (size_t i = 0; i < part.size();) i = EncodeWord(part, i, ids);
    });
  }

  // Calls `encode` for what is before, between and behind the added tokens of a text.
  template <typename Encode>
  static void ForParts(std::u32string_view text, const AddedTokens& tokens,
                       std::vector<int32_t>* ids, const Encode& encode) {
    size_t at = 0;
    while (const auto match = tokens.empty() ? std::nullopt : tokens.Find(text, at)) {
      encode(text.substr(at, match->begin - at));
      ids->push_back(match->id);
      at = match->end;
    }
    encode(text.substr(at));
  }

  // One match of <begin>|<end>|'s|'t|'re|'ve|'m|'ll|'d|letters|one number|others at or after `i`;
  // returns the position after it.
  size_t EncodeWord(std::u32string_view text, size_t i, std::vector<int32_t>* ids) const {
    if (IsSpace(text[i])) return i + 1;
    const auto word = [&](size_t end) {
      bpe_.Encode(EncodeUtf8(text.substr(i, end - i)), ids);
      return end;
    };
    for (const Special& special : specials_) {
      if (!StartsWith(text, i, special.text)) continue;
      const size_t end = i + special.text.size();
      if (text.substr(i, end - i) != special.text) return word(end);  // other case: a mere word
      ids->push_back(special.id);
      return end;
    }
    for (std::u32string_view suffix : {U"'s", U"'t", U"'re", U"'ve", U"'m", U"'ll", U"'d"}) {
      if (StartsWith(text, i, suffix)) return word(i + suffix.size());
    }
    if (IsNumber(text[i])) return word(i + 1);
    const bool letters = IsLetter(text[i]);
    size_t end = i + 1;
    while (end < text.size() && !IsSpace(text[end]) && !IsNumber(text[end]) &&
           IsLetter(text[end]) == letters) {
      ++end;
    }
    return word(end);
  }

  const Bpe bpe_;
  const Special specials_[2];  // begin, end
  AddedTokens exact_, cleaned_;
  const size_t context_length_;
  const TextClean clean_;
};

std::u32string FoldedText(const std::string& utf8) {
  std::u32string text = DecodeUtf8(utf8);
  for (char32_t& c : text) c = Fold(c);
  return text;
}

// What open_clip calls the begin and the end of a text.
const std::string kOtherBos = "<start_of_text>", kOtherEos = "<end_of_text>";

struct Names {
  std::string bos = "<|startoftext|>", eos = "<|endoftext|>";
};

// "bos_token" is a string, or an object with "content".
void ReadTokenName(const Json& root, const char* key, std::string* name) {
  if (!root.is_object() || !root.contains(key)) return;
  const Json& value = root[key];
  if (value.is_string()) *name = value.get<std::string>();
  if (value.is_object() && value.contains("content") && value["content"].is_string()) {
    *name = value["content"].get<std::string>();
  }
}

Result<Vocabulary> ReadVocabulary(const Json& root, const std::string& file) {
  if (!root.is_object()) return DataLoss(file + " is not an object of tokens and their ids.");
  Vocabulary vocab;
  vocab.reserve(root.size());
  for (const auto& [token, id] : root.items()) {
    if (!id.is_number_unsigned() || id.get<uint64_t>() > INT32_MAX) {
      return DataLoss(file + ": the id of token '" + token + "' is no whole number.");
    }
    vocab.emplace(token, id.get<int32_t>());
  }
  return vocab;
}

// Of the tokens that a model's files list as added, those that its vocabulary does not have, and
// those in it that no words are made of. The others are words as open_clip has them, whatever the
// files say ("!", with which some fill texts).
Status KeepAdded(const Vocabulary& vocab, const Merges& merges, const Special (&specials)[2],
                 const std::string& directory, int vocab_size, std::vector<AddedToken>* added) {
  for (const AddedToken& token : *added) {
    const auto it = vocab.find(token.text);
    const bool clash = it != vocab.end() && it->second != token.id;
    if (!clash && token.id < vocab_size) continue;
    return DataLoss(directory + ": the added token '" + token.text + "' has the id " +
                    std::to_string(token.id) +
                    (clash ? ", but " + std::to_string(it->second) + " in the vocabulary"
                           : ", but the model's vocab_size is " + std::to_string(vocab_size)) +
                    "; the files do not belong together.");
  }
  std::unordered_set<std::string> parts;  // of words
  if (!vocab.empty() && !added->empty()) {
    for (const auto& [left, right] : merges) parts.insert(left + right);
  }
  std::erase_if(*added, [&](const AddedToken& token) {
    if (token.id == specials[0].id || token.id == specials[1].id) return true;
    return vocab.count(token.text) > 0 &&
           (DecodeUtf8(token.text).size() == 1 || token.text.ends_with("</w>") ||
            parts.count(token.text) > 0);
  });
  return {};
}

Result<std::unique_ptr<Tokenizer>> Build(const Vocabulary& vocab, const Merges& merges,
                                         const Names& names, const std::string& vocab_file,
                                         const std::string& merges_file,
                                         std::vector<AddedToken> added,
                                         const ModelConfig& model_config) {
  const TextConfig& config = model_config.text;
  if (vocab.count("a</w>") == 0) {
    return Unsupported(vocab_file +
                       " is not a CLIP vocabulary: it has no token 'a</w>'; only CLIP's byte-level "
                       "BPE is supported.");
  }
  Special specials[2];
  for (int i = 0; i < 2; ++i) {
    const std::string& name = i == 0 ? names.bos : names.eos;
    auto it = vocab.find(name);
    if (it == vocab.end()) it = vocab.find(i == 0 ? kOtherBos : kOtherEos);
    if (it == vocab.end()) {
      return DataLoss(vocab_file + " lacks the " + (i == 0 ? "begin" : "end") + " token '" + name +
                      "'.");
    }
    if (it->first.empty()) {  // it would be found everywhere, without end
      return DataLoss(vocab_file + ": the " + (i == 0 ? "begin" : "end") +
                      " token is an empty text.");
    }
    specials[i] = {FoldedText(it->first), it->second};
  }
  for (const auto& [token, id] : vocab) {
    if (id >= config.vocab_size) {
      return DataLoss(vocab_file + ": token '" + token + "' has the id " + std::to_string(id) +
                      ", but the model's vocab_size is " + std::to_string(config.vocab_size) +
                      "; the files do not belong together.");
    }
  }
  CLIPTAG_ASSIGN_OR_RETURN(Bpe bpe, Bpe::FromStrings(vocab, merges, specials[1].id, merges_file));
  CLIPTAG_RETURN_IF_ERROR(
      KeepAdded(vocab, merges, specials, model_config.path, config.vocab_size, &added));
  return std::unique_ptr<Tokenizer>(
      new ClipTokenizer(std::move(bpe), specials[0], specials[1], added, config));
}

Result<std::unique_ptr<Tokenizer>> LoadTokenizerJson(const std::string& path, const Names& names,
                                                     const ModelConfig& model_config) {
  CLIPTAG_ASSIGN_OR_RETURN(const Json root, ReadJsonFile(path));
  const Json model = root.is_object() ? root.value("model", Json()) : Json();
  if (!model.is_object()) return DataLoss(path + " has no object 'model'.");
  const Json type = model.value("type", Json("BPE")),
             suffix = model.value("end_of_word_suffix", Json());
  if (type != "BPE" || suffix != "</w>") return LoadPieceTokenizer(root, path, model_config);
  CLIPTAG_ASSIGN_OR_RETURN(Vocabulary vocab, ReadVocabulary(model.value("vocab", Json()), path));
  CLIPTAG_ASSIGN_OR_RETURN(std::vector<AddedToken> added,
                           ReadAddedTokens(model_config.path, &root));
  for (const AddedToken& token : added) {  // the begin and the end of texts may be among them
    for (const std::string& name : {names.bos, names.eos, kOtherBos, kOtherEos}) {
      if (token.text == name) vocab.emplace(token.text, token.id);
    }
  }
  CLIPTAG_ASSIGN_OR_RETURN(const Merges merges,
                           ReadMergesArray(model.value("merges", Json()), path));
  return Build(vocab, merges, names, path, path, std::move(added), model_config);
}

Result<std::unique_ptr<Tokenizer>> LoadPublic(const ModelConfig& config) {
  constexpr int32_t kBos = 49406, kEos = 49407;
  if (!config.text.tokenizer_name.empty()) {
    return NotFound(config.path + " needs the tokenizer of " + config.text.tokenizer_name +
                    " (text_cfg.hf_tokenizer_name): put its tokenizer.json, or vocab.json and "
                    "merges.txt, into the directory.");
  }
  if (config.text.vocab_size <= kEos) {
    return NotFound(config.path +
                    " has no vocab.json with merges.txt, and no tokenizer.json, but a "
                    "vocab_size of " +
                    std::to_string(config.text.vocab_size) +
                    ", which is not that of CLIP's public vocabulary (49408).");
  }
  const Special specials[2] = {{U"<start_of_text>", kBos}, {U"<end_of_text>", kEos}};
  CLIPTAG_ASSIGN_OR_RETURN(std::vector<AddedToken> added, ReadAddedTokens(config.path));
  std::erase_if(added, [](const AddedToken& token) { return token.id <= kEos; });
  CLIPTAG_RETURN_IF_ERROR(KeepAdded({}, {}, specials, config.path, config.text.vocab_size, &added));
  return std::unique_ptr<Tokenizer>(new ClipTokenizer(
      Bpe::Public(EmbeddedClipMerges()), specials[0], specials[1], added, config.text));
}

Result<std::unique_ptr<Tokenizer>> Load(const ModelConfig& config) {
  const std::string base = config.path + "/";
  const auto exists = [&](const char* name) {
    std::error_code error;
    return std::filesystem::exists(base + name, error);
  };
  Names names;
  for (const char* file : {"special_tokens_map.json", "tokenizer_config.json"}) {
    if (!exists(file)) continue;
    CLIPTAG_ASSIGN_OR_RETURN(const Json root, ReadJsonFile(base + file));
    ReadTokenName(root, "bos_token", &names.bos);
    ReadTokenName(root, "eos_token", &names.eos);
  }
  const bool vocab = exists("vocab.json"), merges = exists("merges.txt");
  if (vocab && merges) {
    const std::string vocab_file = base + "vocab.json", merges_file = base + "merges.txt";
    CLIPTAG_ASSIGN_OR_RETURN(const Json root, ReadJsonFile(vocab_file));
    CLIPTAG_ASSIGN_OR_RETURN(const Vocabulary tokens, ReadVocabulary(root, vocab_file));
    CLIPTAG_ASSIGN_OR_RETURN(const Merges pairs, ReadMergesFile(merges_file));
    CLIPTAG_ASSIGN_OR_RETURN(std::vector<AddedToken> added, ReadAddedTokens(config.path));
    return Build(tokens, pairs, names, vocab_file, merges_file, std::move(added), config);
  }
  if (exists("tokenizer.json")) return LoadTokenizerJson(base + "tokenizer.json", names, config);
  for (const char* file : {"spiece.model", "tokenizer.model", "sentencepiece.bpe.model"}) {
    if (exists(file)) return LoadPieceTokenizer(base + file, config);
  }
  if (vocab || merges) {
    return NotFound(config.path + " has " + (vocab ? "vocab.json" : "merges.txt") + " but no " +
                    (vocab ? "merges.txt" : "vocab.json") + "; a tokenizer needs both.");
  }
  return LoadPublic(config);
}

}  // namespace

std::vector<std::string> TokenizerFiles(const std::string& directory) {
  std::vector<std::string> files;
  const auto take = [&](std::initializer_list<const char*> names) {
    std::error_code error;
    for (const char* name : names) {
      if (!std::filesystem::exists(directory + "/" + name, error)) return false;
    }
    files.insert(files.end(), names.begin(), names.end());
    return true;
  };
  for (const char* name : {"special_tokens_map.json", "tokenizer_config.json"}) take({name});
  // As Load: the first of these that is there. What is no file of sentencepiece's may have tokens
  // added to it in any of the others.
  const bool pair = take({"vocab.json", "merges.txt"}), json = take({"tokenizer.json"});
  if (pair || json ||
      !(take({"spiece.model"}) || take({"tokenizer.model"}) || take({"sentencepiece.bpe.model"}))) {
    take({"added_tokens.json"});
  }
  return files;
}

Result<std::unique_ptr<Tokenizer>> LoadTokenizer(const ModelConfig& config) {
  if (config.text.context_length < 2) {
    return InvalidArgument(config.path + ": a context length of " +
                           std::to_string(config.text.context_length) +
                           " is too short for any text.");
  }
  try {
    return Load(config);
  } catch (const std::exception& e) {  // a field of the wrong JSON type
    return DataLoss("Cannot read the tokenizer in " + config.path + ": " + e.what() + ".");
  }
}

}  // namespace cliptag
