#include "models/text/merges.h"

#include <algorithm>
#include <string_view>

namespace cliptag {

Result<Merges> ReadMergesFile(const std::string& path) {
  CLIPTAG_ASSIGN_OR_RETURN(const std::string text, ReadFile(path));
  Merges merges;
  int number = 0;
  for (std::string_view rest = text; !rest.empty();) {
    const size_t newline = std::min(rest.find('\n'), rest.size());
    std::string_view line = rest.substr(0, newline);
    rest.remove_prefix(std::min(newline + 1, rest.size()));
    ++number;
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    if (line.empty() || (number == 1 && line.substr(0, 8) == "#version")) continue;
    const size_t space = line.find(' ');
    if (space == 0 || space + 1 >= line.size() || space == std::string_view::npos ||
        line.find(' ', space + 1) != std::string_view::npos) {
      return DataLoss(path + ":" + std::to_string(number) +
                      ": a merge is two tokens with a space between them.");
    }
    merges.emplace_back(line.substr(0, space), line.substr(space + 1));
  }
  return merges;
}

Result<Merges> ReadMergesArray(const Json& array, const std::string& path) {
  if (!array.is_array()) return DataLoss(path + ": model.merges is not a list.");
  Merges merges;
  merges.reserve(array.size());
  for (const Json& item : array) {
    if (item.is_array() && item.size() == 2 && item[0].is_string() && item[1].is_string()) {
      merges.emplace_back(item[0].get<std::string>(), item[1].get<std::string>());
      continue;
    }
    const std::string line = item.is_string() ? item.get<std::string>() : "";
    const size_t space = line.find(' ');
    if (space == std::string::npos) {
      return DataLoss(path + ": merge " + std::to_string(merges.size() + 1) +
                      " of model.merges is not two tokens.");
    }
    merges.emplace_back(line.substr(0, space), line.substr(space + 1));
  }
  return merges;
}

}  // namespace cliptag
