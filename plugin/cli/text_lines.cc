#include "plugin/cli/text_lines.h"

#include <filesystem>
#include <fstream>
#include <system_error>
#include <utility>

namespace cliptag {

Result<std::vector<TextLine>> ReadTextLines(const std::string& path, const std::string& what) {
  std::error_code error;
  std::ifstream file(path);
  if (!file || std::filesystem::is_directory(path, error)) {
    return NotFound("cannot read the " + what + " '" + path + "'");
  }
  std::vector<TextLine> lines;
  std::string line;
  for (int number = 1; std::getline(file, line); ++number) {
    if (number == 1 && line.rfind("\xEF\xBB\xBF", 0) == 0) line.erase(0, 3);
    lines.push_back({number, std::move(line)});
  }
  return lines;
}

}  // namespace cliptag
