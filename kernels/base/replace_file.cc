#include "kernels/base/replace_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <filesystem>
#include <system_error>

namespace cliptag {
namespace {

namespace fs = std::filesystem;

Status Because(int error) {
  return NotFound(std::error_code(error, std::generic_category()).message());
}

// The file itself, with links followed, if it exists.
fs::path TargetOf(const std::string& path) {
  std::error_code error;
  const fs::path target = fs::canonical(path, error);
  return error ? fs::path(path) : target;
}

// Writes all of `bytes`, in several calls where one takes a part or is interrupted. 0, or an errno.
int WriteAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return n < 0 ? errno : EIO;
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return 0;
}

}  // namespace

std::string PartOf(const std::string& target) {
  return target + ".part" + std::to_string(getpid());
}

int CreatePart(const std::string& part) {
  unlink(part.c_str());  // of a process that had this number and was killed
  return open(part.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
}

int SyncFile(int fd) { return fsync(fd) == 0 || errno == EINVAL || errno == ENOSYS ? 0 : errno; }

Status CheckReplaceable(const std::string& path) {
  if (path.empty()) return Because(ENOENT);
  std::error_code error;
  const fs::path target = TargetOf(path);
  const fs::file_status status = fs::status(target, error);
  if (fs::is_directory(status)) return InvalidArgument("it is a directory, name a file");
  if (fs::exists(status)) {
    if (!fs::is_regular_file(status)) return InvalidArgument("it is no regular file");
    if (access(target.c_str(), W_OK) != 0) return Because(errno);
  }
  const fs::path folder = target.has_parent_path() ? target.parent_path() : fs::path(".");
  if (!fs::is_directory(folder, error)) {
    return NotFound("there is no folder '" + folder.string() + "'");
  }
  return access(folder.c_str(), W_OK | X_OK) == 0 ? Status() : Because(errno);
}

Status ReplaceFile(const std::string& path, std::string_view bytes, ReplaceOptions options) {
  if (options.follow_links) CLIPTAG_RETURN_IF_ERROR(CheckReplaceable(path));
  const fs::path target = options.follow_links ? TargetOf(path) : fs::path(path);
  static std::atomic<unsigned> count{0};  // threads may replace one file at once
  const std::string part = PartOf(target.string()) + "-" + std::to_string(count++);
  const int fd = CreatePart(part);
  if (fd < 0) return Because(errno);
  struct stat before {};
  if (lstat(target.c_str(), &before) == 0 && S_ISREG(before.st_mode))
    (void)!fchmod(fd, before.st_mode & 07777);
  struct stat made {};
  int error = WriteAll(fd, bytes);
  if (error == 0 && fstat(fd, &made) != 0) error = errno;
  if (error == 0 && options.sync) error = SyncFile(fd);
  if (close(fd) != 0 && error == 0) error = errno;
  if (error == 0 && rename(part.c_str(), target.c_str()) != 0) error = errno;
  if (error == 0) {
    if (options.made != nullptr) *options.made = made;
    return {};
  }
  unlink(part.c_str());
  return Because(error);
}

}  // namespace cliptag
