#include "models/io/cache_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "kernels/base/replace_file.h"
#include "models/io/cache_directory.h"
#include "models/io/content_hash.h"

namespace cliptag {
namespace {

namespace fs = std::filesystem;

constexpr size_t kLargest = 65536;

std::string Format(const CacheFile& file, const std::string& body) {
  const std::string text = "cliptag " + file.kind + " 1\n" + file.identity + " " + body + "\n";
  ContentHash checksum;
  checksum.AddText(text);
  return text + checksum.Hex() + "\n";
}

// Empty where it cannot be read.
std::string ReadOwn(const std::string& path) {
  const int fd = OpenOwn(path, O_RDONLY);
  if (fd < 0) return {};
  struct stat info {};
  const bool readable = fstat(fd, &info) == 0 && S_ISREG(info.st_mode) &&
                        info.st_size <= static_cast<off_t>(kLargest);
  std::string text(readable ? static_cast<size_t>(info.st_size) : 0, '\0');
  const ssize_t size = read(fd, text.data(), text.size());
  close(fd);
  text.resize(size > 0 ? static_cast<size_t>(size) : 0);
  return text;
}

}  // namespace

CacheFile FindCacheFile(const std::string& kind, const std::string& name,
                        const std::string& identity) {
  const std::string directory = CacheDirectory(kind);
  if (directory.empty()) return {kind, "", identity};
  return {kind, directory + "/" + CacheFileName(name, identity) + "." + kind, identity};
}

std::optional<std::string> ReadCacheFile(const CacheFile& file) {
  if (file.path.empty()) return std::nullopt;
  const std::string text = ReadOwn(file.path);
  const size_t first = text.find(file.identity + " ");
  if (first == std::string::npos) return std::nullopt;
  const size_t begin = first + file.identity.size() + 1, end = text.find('\n', begin);
  if (end == std::string::npos) return std::nullopt;
  const std::string body = text.substr(begin, end - begin);
  if (text != Format(file, body)) return std::nullopt;
  return body;
}

Status WriteCacheFile(const CacheFile& file, const std::string& body) {
  if (file.path.empty()) return {};
  std::error_code error;
  const std::string directory = fs::path(file.path).parent_path().string();
  // Private to the user. Where it cannot be made, the write below says why.
  if (fs::create_directories(directory, error)) (void)chmod(directory.c_str(), 0700);
  const Status status =
      ReplaceFile(file.path, Format(file, body), {.follow_links = false, .sync = false});
  if (status.ok()) return {};
  return NotFound("cannot write " + file.path + ": " + status.message() + ".");
}

}  // namespace cliptag
