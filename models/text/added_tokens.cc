#include "models/text/added_tokens.h"

#include <charconv>
#include <filesystem>
#include <map>
#include <set>
#include <utility>

#include "models/text/unicode.h"

namespace cliptag {
namespace {

constexpr size_t kMostBytes = 1024;  // of a token

const Json& Field(const Json& object, const char* key) {
  static const Json kNull;
  const auto it = object.is_object() ? object.find(key) : object.end();
  return it == object.end() ? kNull : *it;
}

class Reader {
 public:
  explicit Reader(const std::string& directory) : directory_(directory) {}

  Result<std::vector<AddedToken>> Read(const Json* tokenizer_json) {
    CLIPTAG_ASSIGN_OR_RETURN(const Json map, Open("special_tokens_map.json"));
    ReadSpecials(Field(map, "additional_special_tokens"));
    CLIPTAG_ASSIGN_OR_RETURN(const Json config, Open("tokenizer_config.json"));
    ReadSpecials(Field(config, "additional_special_tokens"));
    ReadSpecials(Field(config, "extra_special_tokens"));
    // The first that tells of a token tells how it is looked for.
    Json file;
    if (tokenizer_json == nullptr) {
      CLIPTAG_ASSIGN_OR_RETURN(file, Open("tokenizer.json"));
      tokenizer_json = &file;
    }
    for (const Json& token : Field(*tokenizer_json, "added_tokens")) {
      CLIPTAG_RETURN_IF_ERROR(Add("tokenizer.json", token, Field(token, "id")));
    }
    for (const auto& [id, token] : Field(config, "added_tokens_decoder").items()) {
      int32_t number = -1;
      const char* end = id.data() + id.size();
      if (std::from_chars(id.data(), end, number).ptr != end) number = -1;
      CLIPTAG_RETURN_IF_ERROR(Add("tokenizer_config.json", token, number));
    }
    CLIPTAG_ASSIGN_OR_RETURN(const Json old, Open("added_tokens.json"));
    for (const auto& [text, id] : old.items()) {
      const bool special = specials_.count(text) > 0;
      CLIPTAG_RETURN_IF_ERROR(
          Add("added_tokens.json", {{"content", text}, {"normalized", !special}}, id));
    }
    std::vector<AddedToken> out;
    for (auto& [text, token] : tokens_) out.push_back(std::move(token));
    return out;
  }

 private:
  // Null where there is no such file.
  Result<Json> Open(const char* name) const {
    const std::string path = directory_ + "/" + name;
    std::error_code error;
    if (!std::filesystem::exists(path, error)) return Json();
    return ReadJsonFile(path);
  }

  void ReadSpecials(const Json& list) {
    for (const Json& token : list) {
      const Json& text = token.is_object() ? Field(token, "content") : token;
      if (text.is_string()) specials_.insert(text.get<std::string>());
    }
  }

  Status Add(const char* file, const Json& token, const Json& id) {
    const Json& text = Field(token, "content");
    const bool whole = id.is_number_integer() && id.get<int64_t>() >= 0;
    if (!text.is_string() || !whole || id.get<int64_t>() > INT32_MAX) {
      return DataLoss(directory_ + "/" + file +
                      ": an added token has no content or no id: " + token.dump() + ".");
    }
    AddedToken added{text.get<std::string>(), id.get<int32_t>()};
    if (added.text.size() > kMostBytes) {
      return DataLoss(directory_ + "/" + file + ": an added token is longer than " +
                      std::to_string(kMostBytes) + " bytes.");
    }
    const auto flag = [&](const char* key, bool fallback) {
      const Json& value = Field(token, key);
      return value.is_boolean() ? value.get<bool>() : fallback;
    };
    added.normalized = flag("normalized", !flag("special", false));
    added.single_word = flag("single_word", false);
    const auto [it, is_new] = tokens_.try_emplace(added.text, added);
    if (is_new || it->second.id == added.id) return {};
    return DataLoss(directory_ + "/" + file + ": the added token '" + added.text + "' has the id " +
                    std::to_string(added.id) + ", but " + std::to_string(it->second.id) +
                    " in another file; the files do not belong together.");
  }

  const std::string& directory_;
  std::set<std::string> specials_;
  std::map<std::string, AddedToken> tokens_;
};

bool IsWord(char32_t c) { return IsLetter(c) || IsNumber(c) || c == U'_'; }

}  // namespace

Result<std::vector<AddedToken>> ReadAddedTokens(const std::string& directory,
                                                const Json* tokenizer_json) {
  return Reader(directory).Read(tokenizer_json);
}

void AddedTokens::Add(std::u32string_view text, int32_t id, bool single_word) {
  uint32_t node = 0;
  for (const char32_t c : text) {
    node = next_.try_emplace(Key(node, c), static_cast<uint32_t>(next_.size() + 1)).first->second;
  }
  ends_.try_emplace(node, End{id, single_word});
}

std::optional<AddedTokens::Match> AddedTokens::Find(std::u32string_view text, size_t from) const {
  for (size_t begin = from; begin < text.size(); ++begin) {
    std::optional<Match> longest;
    uint32_t node = 0;
    for (size_t end = begin; end < text.size();) {
      const auto it = next_.find(Key(node, text[end]));
      if (it == next_.end()) break;
      node = it->second;
      ++end;
      const auto found = ends_.find(node);
      if (found == ends_.end()) continue;
      const bool within =
          (begin > 0 && IsWord(text[begin - 1])) || (end < text.size() && IsWord(text[end]));
      if (!found->second.single_word || !within) longest = Match{begin, end, found->second.id};
    }
    if (longest) return longest;
  }
  return {};
}

}  // namespace cliptag
