#include "models/io/mapped_file.h"

#include <sys/mman.h>

#include <utility>

#include "models/io/lost_pages.h"

namespace cliptag {

Result<MappedFile> MappedFile::Open(const std::string& path) {
  CLIPTAG_ASSIGN_OR_RETURN(InputFile input, InputFile::Open(path));
  MappedFile file;
  file.file_ = std::make_unique<InputFile>(std::move(input));
  const size_t size = file.file_->size();
  if (size == 0) return file;
  void* address = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.file_->fd(), 0);
  if (address == MAP_FAILED) return ResourceExhausted("Cannot map " + path + " into memory.");
  file.address_ = address;
  file.size_ = size;
  file.place_ = WatchForLostPages(address, size);
  if (file.place_ < 0) {
    return ResourceExhausted("Cannot read " + path + ": too many files of weights are open.");
  }
  return file;
}

MappedFile::~MappedFile() {
  if (place_ >= 0) UnwatchForLostPages(place_);
  if (address_ != nullptr) munmap(address_, size_);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : file_(std::move(other.file_)),
      address_(std::exchange(other.address_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      place_(std::exchange(other.place_, -1)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(file_, other.file_);
  std::swap(address_, other.address_);
  std::swap(size_, other.size_);
  std::swap(place_, other.place_);
  return *this;
}

Status MappedFile::CheckUnchanged() const {
  if (file_ == nullptr) return {};
  CLIPTAG_RETURN_IF_ERROR(file_->CheckUnchanged());
  // It may have its size and time again: `cp -p` sets them.
  if (place_ >= 0 && PagesWereLost(place_)) return file_->Changed();
  return {};
}

}  // namespace cliptag
