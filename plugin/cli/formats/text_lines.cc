#include "plugin/cli/formats/text_lines.h"

#include <algorithm>
#include <string_view>

#include "models/io/input_file.h"

namespace cliptag {

Result<std::vector<TextLine>> ReadTextLines(const std::string& path, const std::string& what) {
  const Result<std::string> text = ReadFile(path);
  if (!text.ok()) {
    std::string why = text.status().message();
    if (why.ends_with('.')) why.pop_back();
    return NotFound("cannot read the " + what + ": " + why);
  }
  std::string_view rest = *text;
  if (rest.starts_with("\xEF\xBB\xBF")) rest.remove_prefix(3);
  std::vector<TextLine> lines;
  while (!rest.empty()) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    lines.push_back({static_cast<int>(lines.size()) + 1, std::string(rest.substr(0, end))});
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return lines;
}

}  // namespace cliptag
