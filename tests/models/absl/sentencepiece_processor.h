// The header of newer versions of sentencepiece, as far as it is used, to compile against.
#pragma once

#include <absl/status/status.h>

#include <string>
#include <string_view>
#include <vector>

namespace sentencepiece {

class SentencePieceProcessor {
 public:
  absl::Status LoadFromSerializedProto(std::string_view serialized);
  absl::Status Encode(std::string_view input, std::vector<int>* ids) const;
  int PieceToId(std::string_view piece) const;
  const std::string& IdToPiece(int id) const;
};

}  // namespace sentencepiece
