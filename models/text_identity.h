// What tells one text encoder from every other: a hash over the contents of its weights (all bytes:
// two fine-tunings may differ in a single tensor), its configuration and its tokenizer's files.
// Equal identities give equal embeddings for equal texts, up to the precision they are computed in.
//
// Thread safety: a pure function of files and tensors.
#pragma once

#include <string>

#include "kernels/base/status.h"
#include "models/clip_tensors.h"
#include "models/config.h"

namespace cliptag {

// 32 hexadecimal digits. Reads every byte of the tensors, which are about to be packed anyway:
// 250 MB take 0.02 s from the page cache.
Result<std::string> TextIdentity(const ModelConfig& config, const TextTensors& tensors);

}  // namespace cliptag
