// JSON as the models' files and prompts need it: parsed without exceptions, bounded in depth and
// size, with errors that name the file, line and column. Only models/*.cc include this.
//
// Thread safety: pure functions over their arguments.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "kernels/base/status.h"
#include "models/io/input_file.h"

namespace cliptag {

using Json = nlohmann::json;

// Far beyond what honest files have, and a few hundred megabytes at most.
struct JsonLimits {
  int max_depth = 64;
  size_t max_nodes = 4'000'000;  // values of any kind
};

// Parses `text` in time and memory that grow with its length. Errors read "NAME:LINE:COLUMN: …"; a
// key given twice in one object is an error too, because one of the two would be silently ignored.
Result<Json> ParseJson(std::string_view text, const std::string& name,
                       const JsonLimits& limits = {});

// "LINE:COLUMN" of the object member's key, or of the array element, with that JSON pointer
// ("/tags/0/label") in a text that can be parsed; of the nearest around it that there is.
std::string LocateJson(std::string_view text, std::string_view pointer);

Result<Json> ReadJsonFile(const std::string& path);

// "LINE:COLUMN" of byte `offset`; both count from 1, the column in characters.
std::string LineAndColumn(std::string_view text, size_t offset);

}  // namespace cliptag
