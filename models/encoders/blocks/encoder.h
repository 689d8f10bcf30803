// What an encoder of pictures and one of texts can do.
//
// Ownership: an encoder borrows its Backend. Thread safety: as its Backend, one thread at a time.
#pragma once

#include <span>

#include "kernels/backend.h"
#include "models/text/tokenizer.h"

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

}  // namespace cliptag
