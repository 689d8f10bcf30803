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
#include "models/config.h"
#include "models/tokenizer.h"

namespace cliptag {

class ImageEncoder {
 public:
  virtual ~ImageEncoder() = default;

  // Sizes the workspace and plans every product for batches of 1..max_batch.
  virtual Status Setup(int max_batch) = 0;
  virtual int max_batch() const = 0;

  // Pixels to the encoder's input tensor, which stays in the workspace. `spec` is the model's, with
  // the caller's fit in place of kModel. 1..max_batch frames.
  virtual Status Preprocess(std::span<const FrameView> frames, const PreprocessSpec& spec) = 0;
  // The prepared tensor to unit embeddings in backend memory: (batch, embed_dim) f32, valid until
  // the next call. The batch must be no larger than what was last prepared (or Setup's, for a
  // benchmark).
  virtual Result<Matrix> EncodePrepared(int batch) = 0;

  // Both steps and a copy: rows of unit length, (frames, embed_dim), any number of frames.
  virtual Status Encode(std::span<const FrameView> frames, const PreprocessSpec& spec,
                        float* embeddings) = 0;
};

class TextEncoder {
 public:
  virtual ~TextEncoder() = default;
  // Rows of unit length, (texts, embed_dim); batches internally.
  virtual Status Encode(std::span<const Tokens> texts, float* embeddings) = 0;
};

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
