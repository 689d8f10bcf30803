#include "models/io/cache_directory.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cctype>
#include <cerrno>
#include <cstdlib>
#include <filesystem>

namespace cliptag {
namespace {

namespace fs = std::filesystem;

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

}  // namespace

std::string UserCacheDirectory() {
  if (const std::string cache = Environment("XDG_CACHE_HOME"); !cache.empty()) {
    return (fs::path(cache) / "cliptag").string();
  }
  const std::string home = Environment("HOME");
  return home.empty() ? "" : (fs::path(home) / ".cache" / "cliptag").string();
}

std::string CacheDirectory(const std::string& kind) {
  if (const char* own = std::getenv("CLIPTAG_CACHE")) {
    return *own == '\0' ? "" : std::string(own) + "/" + kind;
  }
  if (const char* own = std::getenv("CLIPTAG_TEXT_CACHE")) {  // its old name, for two kinds
    const bool old = kind == "texts" || kind == "precision";
    return *own == '\0' || old ? own : std::string(own) + "/" + kind;
  }
  const std::string cache = UserCacheDirectory();
  return cache.empty() ? "" : cache + "/" + kind;
}

std::string CacheFileName(const std::string& name, const std::string& identity) {
  constexpr size_t kLongest = 64, kDigits = 12;
  std::string file;
  for (const char c : name.substr(0, kLongest)) {
    const bool plain = std::isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_';
    file += plain ? c : '_';
  }
  return file + "-" + identity.substr(0, kDigits);
}

int OpenOwn(const std::string& path, int flags) {
  const int fd = open(path.c_str(), flags | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW, 0600);
  struct stat info;
  if (fd < 0 || fstat(fd, &info) != 0) return fd;
  if (info.st_uid == geteuid() || info.st_uid == 0) return fd;
  close(fd);
  errno = EPERM;
  return -1;
}

}  // namespace cliptag
