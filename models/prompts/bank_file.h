// Prompt banks as files: precomputed embeddings of tags, with the prompts that they were made from.
// A safetensors file with one tensor, "embeddings" (tags, dim), whose metadata hold
//   format          "cliptag-prompt-bank-1"
//   model           the name of the model that made it; for people to read
//   model_identity  64 hexadecimal digits, see models/tower_identity.h
//   prompts         a prompts file's JSON: labels, templates, background, negatives, thresholds
// Background and negatives are texts, encoded by the model when the bank is loaded.
//
// Thread safety: pure functions over files.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/base/status.h"
#include "models/prompts/prompts.h"

namespace cliptag {

struct ModelConfig;

inline constexpr size_t kMaxBankBytes = size_t{1} << 30;  // 500,000 labels of 512 dimensions

// Whether a file that begins like this is safetensors; text never does.
bool LooksLikeBank(std::string_view file);

// A spec whose tags have rows and whose `bank` says which model they are for. Takes bytes because a
// file may be overwritten at any time.
Result<PromptSpec> ParseBankFile(std::string_view bytes, const std::string& path);
Result<PromptSpec> ReadBankFile(const std::string& path);

// Numbers scaled to unit length, as a tag's row. An error that begins with `what` if their length
// is 0 or not finite.
Result<std::shared_ptr<const std::vector<float>>> UnitRow(std::vector<float> values,
                                                          const std::string& what);

// An error that names the first tag with pictures, which no bank holds.
Status CheckNoPictures(const PromptSpec& spec);

// An error if a bank cannot be written there; to ask before anything is encoded.
Status CheckBankOutput(const std::string& path);

// Writes a spec whose tags all have rows; the file appears whole or not at all. Tags with pictures
// are an error.
Status WriteBankFile(const std::string& path, const PromptSpec& spec);

// Gives a spec without templates the model's. An error if the spec has rows, and not of the text
// encoder with this identity.
Status FitToModel(const ModelConfig& config, const std::string& identity, PromptSpec* spec);

}  // namespace cliptag
