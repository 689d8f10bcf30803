// Rows of tables: fields between commas or tabs.
//
// Thread safety: pure functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace cliptag {

// The fields of a row, without the blanks around them. Quotes around a field may hold separators,
// and two of them mean one. `closed`, if given, tells whether every quote was closed.
std::vector<std::string> CsvFields(std::string_view row, char separator = ',',
                                   bool* closed = nullptr);

}  // namespace cliptag
