#include "models/io/input_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <exception>
#include <system_error>
#include <utility>

namespace cliptag {
namespace {

std::string Why(int error) { return std::generic_category().message(error); }

std::string SizeText(size_t bytes) {
  constexpr size_t kMega = size_t{1} << 20;
  return bytes % kMega == 0 ? std::to_string(bytes / kMega) + " MB"
                            : std::to_string(bytes) + " bytes";
}

}  // namespace

Result<InputFile> InputFile::Open(const std::string& path) {
  InputFile file;
  file.path_ = path;
  // Without O_NONBLOCK a pipe would be waited for, without O_NOCTTY a terminal become ours.
  do {
    file.fd_ = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  } while (file.fd_ < 0 && errno == EINTR);
  if (file.fd_ < 0 && errno == ENXIO) return InvalidArgument(path + " is a socket, not a file.");
  if (file.fd_ < 0 || fstat(file.fd_, &file.info_) != 0) {
    return NotFound("Cannot open " + path + ": " + Why(errno) + ".");
  }
  if (S_ISDIR(file.info_.st_mode)) return InvalidArgument(path + " is a directory, not a file.");
  if (!S_ISREG(file.info_.st_mode)) {
    return InvalidArgument(path + " is a " + (S_ISFIFO(file.info_.st_mode) ? "pipe" : "device") +
                           ", not a file.");
  }
  return file;
}

InputFile::~InputFile() {
  if (fd_ >= 0) close(fd_);
}

InputFile::InputFile(InputFile&& other) noexcept
    : path_(std::move(other.path_)), fd_(std::exchange(other.fd_, -1)), info_(other.info_) {}

InputFile& InputFile::operator=(InputFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(fd_, other.fd_);
  std::swap(info_, other.info_);
  return *this;
}

Result<std::string> InputFile::Read(uint64_t offset, size_t bytes) const {
  try {
    std::string out;
    // What the file claims may be far more than what it holds, and /proc's claim to hold nothing.
    const uint64_t there = size() > offset ? size() - offset : 0;
    size_t block = std::clamp<size_t>(std::min<uint64_t>(there + 1, bytes), 1 << 12, 64 << 20);
    for (size_t done = 0; done < bytes; done = out.size()) {
      const size_t wanted = std::min(block, bytes - done);
      out.resize(done + wanted);
      const ssize_t n = pread(fd_, out.data() + done, wanted, static_cast<off_t>(offset + done));
      const int error = n < 0 ? errno : 0;
      out.resize(done + static_cast<size_t>(std::max<ssize_t>(n, 0)));
      if (error != 0 && error != EINTR) {
        return DataLoss("Cannot read " + path_ + ": " + Why(error) + ".");
      }
      if (n == 0) break;
    }
    return out;
  } catch (const std::exception&) {
    return ResourceExhausted("There is not enough memory to read " + path_ + ".");
  }
}

Result<std::string> InputFile::ReadAll(size_t max_bytes, std::string_view what) const {
  const auto too_large = [&] {
    return InvalidArgument(path_ + " is larger than the " + SizeText(max_bytes) + " that " +
                           std::string(what) + " may have.");
  };
  if (size() > max_bytes) return too_large();
  CLIPTAG_ASSIGN_OR_RETURN(std::string content, Read(0, max_bytes + 1));
  if (content.size() > max_bytes) return too_large();
  return content;
}

Status InputFile::CheckUnchanged() const {
  struct stat now {};
  const auto same = [](const timespec& a, const timespec& b) {
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
  };
  if (fstat(fd_, &now) == 0 && now.st_size == info_.st_size && same(now.st_mtim, info_.st_mtim)) {
    return {};
  }
  return Changed();
}

Status InputFile::Changed() const {
  return DataLoss(path_ +
                  " was written to while it was read; load it again when it is complete, and "
                  "replace such files whole (rename) instead of writing over them.");
}

Result<std::string> ReadFile(const std::string& path, size_t max_bytes) {
  CLIPTAG_ASSIGN_OR_RETURN(const InputFile file, InputFile::Open(path));
  return file.ReadAll(max_bytes);
}

}  // namespace cliptag
