// Rows of tables: fields between commas.
//
// Thread safety: pure functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace cliptag {

// The fields of a row, without the blanks around them. Quotes around a field may hold commas,
// and two of them mean one. `closed`, if given, tells whether every quote was closed.
std::vector<std::string> CsvFields(std::string_view row, bool* closed = nullptr);

// One field, in quotes where it needs them (RFC 4180).
std::string CsvField(std::string_view text);

}  // namespace cliptag
