// The merges of byte pair encoding as models' files write them. Thread safe: pure functions.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "kernels/base/status.h"
#include "models/io/json.h"

namespace cliptag {

using Merges = std::vector<std::pair<std::string, std::string>>;

// merges.txt: two tokens a line, after an optional "#version".
Result<Merges> ReadMergesFile(const std::string& path);

// tokenizer.json's model.merges: "a b" or ["a", "b"]. `path` is for messages.
Result<Merges> ReadMergesArray(const Json& array, const std::string& path);

}  // namespace cliptag
