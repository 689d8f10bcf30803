// The header of newer versions of sentencepiece, as far as it is used, to compile against: its
// status is absl's.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace absl {

class Status {
 public:
  bool ok() const { return true; }
  std::string_view message() const { return ""; }
};

}  // namespace absl

namespace sentencepiece {

class SentencePieceProcessor {
 public:
  absl::Status LoadFromSerializedProto(std::string_view serialized);
  absl::Status Encode(std::string_view input, std::vector<int>* ids) const;
  int PieceToId(std::string_view piece) const;
  const std::string& IdToPiece(int id) const;
};

}  // namespace sentencepiece
