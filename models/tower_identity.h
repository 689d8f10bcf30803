// What tells one encoder from every other: a hash over the contents of its weights (all bytes: two
// fine-tunings may differ in a single tensor) and its configuration; for texts over its tokenizer's
// files, too. Equal identities give equal embeddings for equal inputs, up to the precision they are
// computed in.
//
// Thread safety: pure functions of files and tensors.
#pragma once

#include <string>

#include "kernels/base/status.h"
#include "models/config/config.h"
#include "models/encoders/clip_tensors.h"

namespace cliptag {

// 64 hexadecimal digits (models/io/content_hash.h). Reads every byte of the tensors, which are
// about to be packed anyway: 5 MB (the starter) take 3 ms of one core with SHA extensions, the 254
// MB of ViT-B/32's text tower 0.13 s, both towers' 605 MB 0.32 s, shared by up to eight threads;
// without these instructions 2.8 times as much.
Result<std::string> TextIdentity(const ModelConfig& config, const TextTensors& tensors);

// Of the model in a directory or file (see FindModel), from its files alone.
struct TextEncoderFacts {
  std::string model, identity;
  int dim = 0;
};
Result<TextEncoderFacts> ReadTextIdentity(const std::string& path);

// Likewise, of a vision transformer; other towers have no precision trials.
std::string ImageIdentity(const ModelConfig& config, const VitTensors& tensors);

}  // namespace cliptag
