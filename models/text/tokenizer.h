// Text to token ids, exactly as open_clip does it for every CLIP layout: its cleaning (models/
// text_clean.h), CLIP's pattern of words, byte pair encoding, padding with 0. Immutable once
// loaded; thread safe.
//
// transformers' fast tokenizer differs where a text has HTML references, curly quotes, ligatures or
// full-width letters, which open_clip replaces and it does not.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/base/status.h"
#include "models/config/config.h"

namespace cliptag {

struct Tokens {
  std::vector<int32_t> ids;  // context_length of them: begin, text, end, zeros
  int eot = 0;               // position of the first end-of-text token
  bool truncated = false;    // the text was too long and was cut as the reference cuts it
};

class Tokenizer {
 public:
  virtual ~Tokenizer() = default;
  virtual Result<Tokens> Encode(std::string_view text) const = 0;  // UTF-8
};

// The tokenizer of a model: vocab.json + merges.txt or tokenizer.json beside it, else CLIP's public
// vocabulary. Errors name the file and what is wrong with it.
Result<std::unique_ptr<Tokenizer>> LoadTokenizer(const ModelConfig& config);

// The files in the directory that LoadTokenizer reads, by name: they belong to a model's identity.
std::vector<std::string> TokenizerFiles(const std::string& directory);

}  // namespace cliptag
