#include "plugin/cli/help_format.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <utility>
#include <vector>

namespace cliptag {
namespace {

// Of what is shown; a character of UTF-8 counts once.
size_t Columns(std::string_view text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

size_t TerminalWidth() {
  constexpr size_t kDefault = 80, kLeast = 60, kMost = 120;
  winsize size{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return kDefault;
  return std::clamp<size_t>(size.ws_col, kLeast, kMost);
}

size_t Indent(std::string_view line) { return std::min(line.find_first_not_of(' '), line.size()); }

// Words between blanks; what stands in quotes is one.
std::vector<std::string_view> WordsOf(std::string_view text) {
  std::vector<std::string_view> words;
  while (!text.empty()) {
    char quote = 0;
    size_t end = 0;
    for (; end < text.size() && (quote != 0 || text[end] != ' '); ++end) {
      if (quote == 0 ? text[end] == '"' : text[end] == quote) quote = quote ? 0 : text[end];
    }
    if (quote != 0) end = std::min(text.find(' '), text.size());  // it is never closed
    if (end > 0) words.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return words;
}

std::string WrapLine(std::string_view line, size_t width, size_t column) {
  if (Columns(line) <= width) return std::string(line);
  const bool example = line.starts_with("  cliptag ") || line.find(" | cliptag ") != line.npos;
  const bool option = Indent(line) == 2 && line.size() > column && line[column - 1] == ' ';
  const size_t start = option ? column : Indent(line), hanging = example ? 6 : start;
  std::string out(line.substr(0, start));
  size_t used = Columns(out);
  bool first = true;
  for (const std::string_view word : WordsOf(line.substr(start))) {
    const size_t room = width - (example ? 2 : 0);  // for the backslash
    if (!first && used + 1 + Columns(word) > room) {
      out.append(example ? " \\\n" : "\n").append(hanging, ' ');
      used = hanging;
      first = true;
    }
    if (!first) out += ' ';
    used += Columns(word) + (first ? 0 : 1);
    out.append(word);
    first = false;
  }
  return out;
}

// A paragraph that its author has broken by hand goes on with this line.
bool GoesOn(std::string_view before, std::string_view line) {
  constexpr size_t kNearlyFull = 70;
  return Columns(before) >= kNearlyFull && !line.empty() && before.front() != ' ' &&
         line.front() != ' ' && before.back() != ':' && !line.starts_with("Usage:");
}

}  // namespace

std::string WrapHelp(std::string_view help, size_t width, size_t column) {
  std::vector<std::string> lines;
  std::string_view before;
  while (!help.empty()) {
    const std::string_view line = help.substr(0, help.find('\n'));
    help.remove_prefix(std::min(line.size() + 1, help.size()));
    if (!lines.empty() && GoesOn(before, line)) {
      lines.back().append(" ").append(line);
    } else {
      lines.emplace_back(line);
    }
    before = line;
  }
  std::string out;
  for (const std::string& line : lines) out += WrapLine(line, width, column) + '\n';
  return out;
}

std::string HelpFormatter::make_help(const CLI::App* app, std::string name,
                                     CLI::AppFormatMode mode) const {
  return WrapHelp(CLI::Formatter::make_help(app, std::move(name), mode), TerminalWidth(),
                  get_column_width());
}

}  // namespace cliptag
