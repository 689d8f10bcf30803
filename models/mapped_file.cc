#include "models/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

namespace cliptag {

Result<MappedFile> MappedFile::Open(const std::string& path) {
  // Without O_NONBLOCK a pipe of that name would be waited for.
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) {
    return NotFound("Cannot open " + path + ": " + std::generic_category().message(errno) + ".");
  }
  MappedFile file;
  struct stat info {};
  const bool regular = fstat(fd, &info) == 0 && S_ISREG(info.st_mode);
  if (regular && info.st_size > 0) {
    void* address = mmap(nullptr, static_cast<size_t>(info.st_size), PROT_READ, MAP_PRIVATE, fd, 0);
    if (address != MAP_FAILED) {
      file.address_ = address;
      file.size_ = static_cast<size_t>(info.st_size);
    }
  }
  close(fd);
  if (!regular) return InvalidArgument(path + " is not a file.");
  if (info.st_size > 0 && file.address_ == nullptr) {
    return ResourceExhausted("Cannot map " + path + " into memory.");
  }
  return file;
}

MappedFile::~MappedFile() {
  if (address_ != nullptr) munmap(address_, size_);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : address_(std::exchange(other.address_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(address_, other.address_);
  std::swap(size_, other.size_);
  return *this;
}

}  // namespace cliptag
