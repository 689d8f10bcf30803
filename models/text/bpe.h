// Byte pair encoding of words over CLIP's byte alphabet. Immutable once built; thread safe.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "kernels/base/status.h"

namespace cliptag {

// The printable character by which CLIP's vocabularies write byte `b`, as UTF-8.
const std::string& ByteSymbol(unsigned char b);
// CLIP's order of the bytes: token i of the public vocabulary is byte ByteOrder()[i].
const std::array<unsigned char, 256>& ByteOrder();

class Bpe {
 public:
  // CLIP's public merges (see models/text/embedded.h).
  static Bpe Public(std::span<const uint16_t> merges);
  // Merges as pairs of token strings. A pair whose parts or whole the vocabulary lacks is an error
  // that names `file` and the merge's number. A byte without a token of its own becomes `unknown`.
  static Result<Bpe> FromStrings(const std::unordered_map<std::string, int32_t>& vocab,
                                 const std::vector<std::pair<std::string, std::string>>& merges,
                                 int32_t unknown, const std::string& file);

  // Appends the tokens of one word (its bytes). The lowest-ranked pair is merged wherever it
  // stands, from left to right, until no pair is left: O(n log n).
  void Encode(std::string_view word, std::vector<int32_t>* ids) const;

 private:
  struct Merge {
    int32_t rank, id;
  };
  static uint64_t Key(int32_t left, int32_t right) {
    return static_cast<uint64_t>(left) << 32 | static_cast<uint32_t>(right);
  }

  std::array<int32_t, 256> inner_{}, final_{};  // tokens of a byte within a word, at its end
  std::unordered_map<uint64_t, Merge> merges_;
};

}  // namespace cliptag
