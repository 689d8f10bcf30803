// Every target's reader and its seeds; fuzz_target.h says what they are.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "models/config/config.h"

namespace cliptag {

// config.json with preprocessor_config.json or processor_config.json, open_clip_config.json, the
// index of shards; held against the weights of tiny models as a loader does.
Status ReadFuzzedConfig(std::string_view bytes);
std::vector<std::string> ConfigSeeds();
// What everything behind a configuration relies on.
void RequireSound(const ModelConfig& config);

// Prompts files: labels or JSON. Banks are safetensors.
Status ReadFuzzedPrompts(std::string_view bytes);
std::vector<std::string> PromptsSeeds();

// Headers, tensors read from it, and prompt banks.
Status ReadFuzzedSafetensors(std::string_view bytes);
std::vector<std::string> SafetensorsSeeds();

// tokenizer.json, or vocab.json with merges.txt, and what stands beside them; texts are encoded.
Status ReadFuzzedTokenizer(std::string_view bytes);
std::vector<std::string> TokenizerSeeds();

// sentencepiece's files; in a build without the library all are refused.
Status ReadFuzzedPieces(std::string_view bytes);
std::vector<std::string> PiecesSeeds();

// PyTorch's archives, tensors read from them, and the configuration that follows from OpenAI's.
Status ReadFuzzedTorch(std::string_view bytes);
std::vector<std::string> TorchSeeds();

}  // namespace cliptag
