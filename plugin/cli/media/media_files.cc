#include "plugin/cli/media/media_files.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <set>
#include <string_view>
#include <system_error>

#include "plugin/cli/diagnostics.h"

namespace cliptag {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kEndings[] = {
    ".txt",         ".md",  ".rst", ".csv",  ".tsv", ".json", ".jsonl", ".xml",  ".yaml", ".yml",
    ".html",        ".htm", ".pdf", ".db",   ".ini", ".log",  ".zip",   ".tar",  ".gz",   ".tgz",
    ".7z",          ".lnk", ".url", ".py",   ".sh",  ".mat",  ".npy",   ".npz",  ".pt",   ".bin",
    ".safetensors", ".vtt", ".srt", ".part", ".tmp", ".bak",  ".doc",   ".docx", ".xls",  ".xlsx"};
constexpr std::string_view kNames[] = {"readme",  "license",  "licence",   "copying", "notice",
                                       "authors", "citation", "changelog", "makefile"};

constexpr std::string_view kMediaEndings[] = {
    ".png",  ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp",  ".dib",  ".tif",  ".tiff",
    ".jp2",  ".j2k",  ".jpx", ".pbm",  ".pgm", ".ppm",  ".pnm",  ".pam",  ".ras",  ".gif",  ".avif",
    ".heic", ".heif", ".jxl", ".mp4",  ".m4v", ".mov",  ".mkv",  ".avi",  ".mpg",  ".mpeg", ".webm",
    ".ogv",  ".wmv",  ".flv", ".ts",   ".mts", ".m2ts", ".3gp",  ".h264", ".h265", ".mjpeg"};
constexpr std::string_view kSystemFolders[] = {"@eadir", "__macosx", "lost+found", "$recycle.bin",
                                               "system volume information"};

std::string Lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

bool IsOneOf(const auto& list, const std::string& text) {
  return std::find(std::begin(list), std::end(list), text) != std::end(list);
}

class Walk {
 public:
  Walk(const std::string& outside, MediaFiles* out) : out_(out) {
    std::error_code error;
    for (fs::path at = fs::canonical(outside, error); !error && !at.empty();
         at = at.parent_path()) {
      seen_.insert(at);
      if (at == at.root_path()) break;
    }
  }

  Status Folder(const fs::path& folder) {
    std::error_code error;
    const fs::path real = fs::canonical(folder, error);
    if (!error && !seen_.insert(real).second) {
      out_->skipped.push_back(folder.string());
      return {};
    }
    std::vector<fs::path> entries;
    for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
      if (!IsSystemEntry(it->path())) entries.push_back(it->path());
    }
    if (error) return NotFound("cannot read '" + folder.string() + "': " + error.message());
    std::sort(entries.begin(), entries.end());
    for (const fs::path& entry : entries) {
      if (fs::is_directory(entry, error)) {
        CLIPTAG_RETURN_IF_ERROR(Folder(entry));
      } else {
        (IsCompanionFile(entry) ? out_->skipped : out_->files).push_back(entry.string());
      }
    }
    return {};
  }

 private:
  MediaFiles* const out_;
  std::set<fs::path> seen_;
};

}  // namespace

bool IsCompanionFile(const std::string& path) {
  const fs::path name = fs::path(Lower(fs::path(path).filename().string()));
  return IsOneOf(kEndings, name.extension().string()) ||
         (!name.has_extension() && IsOneOf(kNames, name.string()));
}

bool HasMediaName(const std::string& path) {
  return IsOneOf(kMediaEndings, Lower(fs::path(path).extension().string()));
}

bool IsSystemEntry(const std::string& path) {
  const std::string name = fs::path(path).filename().string();
  return name.starts_with(".") || IsOneOf(kSystemFolders, Lower(name));
}

Status AddMediaFiles(const std::string& folder, const std::string& outside, MediaFiles* out) {
  return Walk(outside, out).Folder(folder);
}

void NoteSkipped(const std::vector<std::string>& skipped) {
  if (skipped.empty()) return;
  const size_t others = skipped.size() - 1;
  PrintNote("'" + skipped.front() + "'" +
            (others == 0 ? " is" : " and " + std::to_string(others) + " more are") +
            " no picture or video, or a folder that was there already: left out");
}

}  // namespace cliptag
