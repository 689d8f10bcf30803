// Tokens that were added to a vocabulary as a whole, "<cat-toy>" of a textual inversion: they are
// taken out of a text before the rest of it is cut into words. Lists of them, and where they stand
// in a model's files.
//
// Immutable once filled; thread safe then.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "kernels/base/status.h"
#include "models/io/json.h"

namespace cliptag {

struct AddedToken {
  std::string text;
  int32_t id = 0;
  bool normalized = true;    // looked for in cleaned text, in lower case; else in the text as it is
  bool single_word = false;  // not within letters and digits
};

// Those that added_tokens.json, added_tokens_decoder in tokenizer_config.json and tokenizer.json
// list, each once. One that has two ids is an error. `tokenizer_json`, if given, is that file's
// content.
Result<std::vector<AddedToken>> ReadAddedTokens(const std::string& directory,
                                                const Json* tokenizer_json = nullptr);

class AddedTokens {
 public:
  struct Match {
    size_t begin = 0, end = 0;
    int32_t id = 0;
  };

  // `text` is not empty.
  void Add(std::u32string_view text, int32_t id, bool single_word);
  bool empty() const { return ends_.empty(); }
  // The first one in `text` at or after `from`; of those that begin there, the longest.
  std::optional<Match> Find(std::u32string_view text, size_t from) const;

 private:
  struct End {
    int32_t id = 0;
    bool single_word = false;
  };
  static uint64_t Key(uint32_t node, char32_t c) { return uint64_t{node} << 32 | c; }

  // A tree of characters, by node and the next one; node 0 is its root.
  std::unordered_map<uint64_t, uint32_t> next_;
  std::unordered_map<uint32_t, End> ends_;
};

}  // namespace cliptag
