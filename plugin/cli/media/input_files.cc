#include "plugin/cli/media/input_files.h"

#include <filesystem>
#include <iostream>
#include <system_error>
#include <utility>

#include "plugin/cli/formats/text_lines.h"
#include "plugin/cli/media/media_files.h"

namespace cliptag {
namespace {

namespace fs = std::filesystem;

Status AddPath(const std::string& path, bool recursive, MediaFiles* files) {
  std::error_code error;
  if (!recursive || !fs::is_directory(path, error)) {
    files->files.push_back(path);  // a folder, too: opening it fails with advice
    return {};
  }
  return AddMediaFiles(path, fs::canonical(path, error).parent_path().string(), files);
}

// A path a line; empty lines separate.
Result<std::vector<std::string>> ReadList(const std::string& list) {
  std::vector<std::string> paths;
  if (list != "-") {
    CLIPTAG_ASSIGN_OR_RETURN(std::vector<TextLine> lines, ReadTextLines(list, "list of files"));
    for (TextLine& line : lines) paths.push_back(std::move(line.text));
  } else {
    for (std::string line; std::getline(std::cin, line);) paths.push_back(line);
  }
  for (std::string& path : paths) {
    if (path.ends_with('\r')) path.pop_back();
  }
  std::erase(paths, "");
  return paths;
}

}  // namespace

Result<std::vector<std::string>> CollectInputFiles(const InputOptions& options) {
  MediaFiles files;
  for (const std::string& path : options.files) {
    CLIPTAG_RETURN_IF_ERROR(AddPath(path, options.recursive, &files));
  }
  if (!options.files_from.empty()) {
    CLIPTAG_ASSIGN_OR_RETURN(const std::vector<std::string> paths, ReadList(options.files_from));
    for (const std::string& path : paths) {
      CLIPTAG_RETURN_IF_ERROR(AddPath(path, options.recursive, &files));
    }
  }
  NoteSkipped(files.skipped);
  if (files.files.empty()) {
    return NotFound(options.files_from.empty()
                        ? "there is no picture and no video in what was named"
                        : "the list of files names none");
  }
  return std::move(files.files);
}

}  // namespace cliptag
