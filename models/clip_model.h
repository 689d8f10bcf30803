// A CLIP model on a backend: both encoders, the tokenizer, the configuration.
//
// Ownership: the model borrows its Backend and must be destroyed first. Weights are mapped from
// disk and packed into backend memory at load; the mapping is dropped afterwards. Thread safety: as
// its Backend: one thread at a time, config() and text_identity() from any thread.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kernels/backend.h"
#include "models/config/config.h"
#include "models/encoders/blocks/encoder.h"
#include "models/text/tokenizer.h"

namespace cliptag {

class ClipModel {
 public:
  // Loads from a directory (see FindModel). Errors name the file, and the tensor or field in it.
  static Result<std::unique_ptr<ClipModel>> Load(const std::string& directory, Backend& backend);
  ~ClipModel();

  const ModelConfig& config() const;
  const std::string& text_identity() const;  // see models/tower_identity.h
  ImageEncoder& image();
  TextEncoder& text();
  Backend& backend();

  // Tokenises and encodes; an error without a tokenizer (a model is loaded without one, too), and
  // where an embedding holds NaN or infinity.
  // `truncated`, if given, gets the texts that were cut.
  Status EncodeTexts(std::span<const std::string> texts, float* embeddings,
                     std::vector<std::string>* truncated = nullptr);

  // Encodes a built-in test picture, two variants of it and, with a tokenizer, a text; an error if
  // an embedding holds NaN or infinity, or if different pictures give the same embedding.
  Status SelfCheck();

 private:
  Status CheckPictures();

  struct Impl;
  explicit ClipModel(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace cliptag
