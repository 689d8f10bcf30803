#include "plugin/cli/formats/csv.h"

namespace cliptag {

std::vector<std::string> CsvFields(std::string_view row, bool* closed) {
  std::vector<std::string> fields(1);
  bool quoted = false;
  for (size_t i = 0; i < row.size(); ++i) {
    if (row[i] == '"' && quoted && i + 1 < row.size() && row[i + 1] == '"') {
      fields.back() += row[++i];
    } else if (row[i] == '"' && (quoted || fields.back().empty())) {
      quoted = !quoted;
    } else if (row[i] == ',' && !quoted) {
      fields.emplace_back();
    } else {
      fields.back() += row[i];
    }
  }
  for (std::string& field : fields) {
    const size_t first = field.find_first_not_of(" \t\r");
    field = first == std::string::npos
                ? ""
                : field.substr(first, field.find_last_not_of(" \t\r") - first + 1);
  }
  if (closed != nullptr) *closed = !quoted;
  return fields;
}

std::string CsvField(std::string_view text) {
  const bool plain = text.find_first_of(",\"\r\n") == std::string_view::npos &&
                     (text.empty() || (text.front() != ' ' && text.back() != ' '));
  if (plain) return std::string(text);
  std::string field = "\"";
  for (const char c : text) field.append(c == '"' ? 2 : 1, c);
  return field + '"';
}

}  // namespace cliptag
