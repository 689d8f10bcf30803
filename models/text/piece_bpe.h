// Byte pair encoding over the characters of a text as tokenizer.json describes it for Gemma's
// vocabulary, which SigLIP 2 has: spaces are written as U+2581, and a character without a token of
// its own becomes the tokens of its bytes. Immutable once built; thread safe.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "models/text/piece_model.h"

namespace cliptag {

class PieceBpe : public PieceModel {
 public:
  struct Options {
    bool lower = false;   // the text is lowered first
    bool prefix = false;  // and a space put before it
    bool byte_fallback = false;
    bool fuse_unknown = false;
    std::string unknown;  // the token of what is not in the vocabulary; empty = it is dropped
  };
  // A pair whose parts or whole the vocabulary lacks is an error that names `file` and the merge.
  static Result<std::unique_ptr<PieceBpe>> Create(
      std::unordered_map<std::string, int32_t> vocab,
      const std::vector<std::pair<std::string, std::string>>& merges, const Options& options,
      const std::string& file);

  Result<std::vector<int32_t>> Encode(const std::string& text) const override;
  int32_t Find(const std::string& piece) const override;

 private:
  struct Merge {
    int32_t rank, id;
  };
  static uint64_t Key(int32_t left, int32_t right) {
    return static_cast<uint64_t>(left) << 32 | static_cast<uint32_t>(right);
  }
  // The tokens of the characters, before any merge.
  std::vector<int32_t> Characters(const std::u32string& text) const;

  std::unordered_map<std::string, int32_t> vocab_;
  std::unordered_map<uint64_t, Merge> merges_;
  std::array<int32_t, 256> bytes_{};  // -1 where there is no token "<0x0A>"
  bool has_bytes_ = false;
  int32_t unknown_ = -1;
  Options options_;
};

}  // namespace cliptag
