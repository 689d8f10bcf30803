#include "plugin/cli/eval/measures/dataset.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <system_error>
#include <unordered_map>
#include <utility>

#include "plugin/cli/formats/csv.h"
#include "plugin/cli/formats/text_lines.h"
#include "plugin/cli/media/media_files.h"
#include "plugin/cli/media/media_reader.h"

namespace cliptag {
namespace {

namespace fs = std::filesystem;

Status CannotRead(const fs::path& path, const std::error_code& error) {
  return NotFound("cannot read '" + path.string() + "': " + error.message());
}

// Everything in a folder, in the order of names; system entries aside.
Result<std::vector<fs::path>> ListFolder(const fs::path& folder) {
  std::error_code error;
  std::vector<fs::path> entries;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    if (!IsSystemEntry(it->path())) entries.push_back(it->path());
  }
  if (error) return CannotRead(folder, error);
  std::sort(entries.begin(), entries.end());
  return entries;
}

bool ParseSeconds(const std::string& text, double* seconds) {
  if (text.empty()) return true;  // stays
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  if (*end != '\0' || !std::isfinite(value) || value < 0) return false;
  *seconds = value;
  return true;
}

}  // namespace

bool LabelledFile::Shows(const std::string& label, std::optional<double> time_s) const {
  return std::any_of(spans.begin(), spans.end(), [&](const LabelledSpan& span) {
    return span.label == label && (!time_s || (*time_s >= span.start_s && *time_s < span.end_s));
  });
}

Result<std::vector<std::string>> LabelFolders(const std::string& folder) {
  std::error_code error;
  if (!fs::is_directory(folder, error)) {
    return NotFound("the dataset '" + folder + "' is no folder; it should hold one per label");
  }
  CLIPTAG_ASSIGN_OR_RETURN(const std::vector<fs::path> entries, ListFolder(folder));
  std::vector<std::string> names;
  for (const fs::path& entry : entries) {
    if (!fs::is_directory(entry, error)) {
      // A README, checksums, a table of labels in whatever format.
      if (!HasMediaName(entry.string()) && !IsPicture(entry.string())) continue;
      return InvalidArgument("the file '" + entry.string() +
                             "' lies in no folder: put it into one that is named after what it "
                             "shows");
    }
    names.push_back(entry.filename().string());
  }
  return names;
}

Status ReadLabelFolders(const std::string& folder, Dataset* dataset) {
  CLIPTAG_ASSIGN_OR_RETURN(const std::vector<std::string> names, LabelFolders(folder));
  const size_t before = dataset->files.size();
  std::vector<std::string> skipped;
  for (const std::string& name : names) {
    MediaFiles media;
    CLIPTAG_RETURN_IF_ERROR(AddMediaFiles((fs::path(folder) / name).string(), folder, &media));
    for (std::string& file : media.files) {
      dataset->files.push_back({std::move(file), {{.label = name}}});
    }
    skipped.insert(skipped.end(), media.skipped.begin(), media.skipped.end());
  }
  NoteSkipped(skipped);
  if (dataset->files.size() == before) {
    return InvalidArgument("the dataset '" + folder + "' holds no files; it should hold a folder " +
                           "per label with pictures and videos in it");
  }
  return {};
}

Status ReadLabelTable(const std::string& path, Dataset* dataset) {
  CLIPTAG_ASSIGN_OR_RETURN(const std::vector<TextLine> lines,
                           ReadTextLines(path, "table of labels"));
  const fs::path folder = fs::path(path).parent_path();
  std::unordered_map<std::string, size_t> known;
  for (size_t i = 0; i < dataset->files.size(); ++i) known.emplace(dataset->files[i].path, i);
  for (const auto& [number, line] : lines) {
    const std::vector<std::string> fields = CsvFields(line);
    if (fields == std::vector<std::string>{""}) continue;
    if (number == 1 && fields.front() == "file") continue;
    const auto wrong = [&, number = number](const std::string& what) {
      return InvalidArgument("'" + path + "', line " + std::to_string(number) + ": " + what);
    };
    if (fields.size() != 4 || fields[0].empty()) {
      return wrong("four fields are needed: file,start,end,label");
    }
    LabelledSpan span;
    span.label = fields[3];
    if (!ParseSeconds(fields[1], &span.start_s) || !ParseSeconds(fields[2], &span.end_s)) {
      return wrong("'" + fields[1] + "' to '" + fields[2] + "' is no span of seconds");
    }
    if (span.end_s <= span.start_s) return wrong("the span ends before it has begun");
    const fs::path video = folder / fields[0];
    std::error_code error;
    if (!fs::exists(video, error)) return wrong("there is no file '" + video.string() + "'");
    const auto [at, is_new] = known.emplace(video.string(), dataset->files.size());
    if (is_new) dataset->files.push_back({video.string(), {}});
    if (!span.label.empty()) dataset->files[at->second].spans.push_back(std::move(span));
  }
  return {};
}

}  // namespace cliptag
