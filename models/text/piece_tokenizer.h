// Tokenizers over pieces (models/text/piece_model.h) as transformers runs them for SigLIP's models,
// after open_clip's cleaning: the tokens that end and fill a text, and how a long one is cut. See
// models/text/tokenizer.h. Not followed is what transformers does with texts that hold U+2581, by
// which pieces write their spaces, or that begin with a space once their characters are normalised.
#pragma once

#include <memory>
#include <string>

#include "models/io/json.h"
#include "models/text/tokenizer.h"

namespace cliptag {

// From a tokenizer.json, already read, in the model's directory.
Result<std::unique_ptr<Tokenizer>> LoadPieceTokenizer(const Json& root, const std::string& file,
                                                      const ModelConfig& config);
// From a sentencepiece model's file.
Result<std::unique_ptr<Tokenizer>> LoadPieceTokenizer(const std::string& file,
                                                      const ModelConfig& config);

}  // namespace cliptag
