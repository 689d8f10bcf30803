// What cuts a cleaned text into the pieces of SigLIP's vocabularies and their like: a sentencepiece
// model, or what a tokenizer.json says of one.
//
// Immutable once loaded; thread safe.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "kernels/base/status.h"
#include "models/io/json.h"

namespace cliptag {

class PieceModel {
 public:
  virtual ~PieceModel() = default;
  // The ids of a text's pieces, without any special token. UTF-8.
  virtual Result<std::vector<int32_t>> Encode(const std::string& text) const = 0;
  // The id of a piece by its name, "</s>"; -1 when there is none.
  virtual int32_t Find(const std::string& piece) const = 0;
};

// A sentencepiece model from the bytes of its file (spiece.model). `file` is for messages.
// Unsupported in a build without libsentencepiece.
Result<std::unique_ptr<PieceModel>> OpenSentencePiece(const std::string& bytes,
                                                      const std::string& file);

// The object "model" of a tokenizer.json and what goes before it: Unigram (which sentencepiece
// then runs), or BPE with byte fallback.
Result<std::unique_ptr<PieceModel>> PieceModelFromJson(const Json& root, const std::string& file);

}  // namespace cliptag
