// How --help looks: nothing is wider than the terminal (or 80 columns where there is none).
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <string_view>

namespace cliptag {

// Lines that are wider are broken between words; what follows is indented as the text before it, or
// to `column` where a line begins with an option's name. Examples go on after a backslash.
std::string WrapHelp(std::string_view help, size_t width, size_t column);

class HelpFormatter : public CLI::Formatter {
 public:
  std::string make_help(const CLI::App* app, std::string name,
                        CLI::AppFormatMode mode) const override;
};

}  // namespace cliptag
