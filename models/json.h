// JSON as the models' files and prompts need it: parsed without exceptions, bounded in depth, with
// errors that name the file, line and column. Only models/*.cc include this.
//
// Thread safety: pure functions over their arguments.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "kernels/base/status.h"

namespace cliptag {

using Json = nlohmann::json;

// Parses `text`. Errors read "NAME:LINE:COLUMN: …"; a key given twice in one object is an error
// too, because one of the two would be silently ignored. Nesting is limited to `max_depth`.
// `positions`, if given, gets the byte offset of every object member's key and of every array
// element, under its JSON pointer ("/tags/0/label"): for errors about what the document says.
Result<Json> ParseJson(std::string_view text, const std::string& name, int max_depth = 64,
                       std::map<std::string, size_t>* positions = nullptr);

// The whole file as bytes. `max_bytes` guards against a mistaken path.
Result<std::string> ReadFile(const std::string& path, size_t max_bytes = size_t{256} << 20);
Result<Json> ReadJsonFile(const std::string& path);

// "LINE:COLUMN" of byte `offset`; both count from 1, the column in characters.
std::string LineAndColumn(std::string_view text, size_t offset);

}  // namespace cliptag
