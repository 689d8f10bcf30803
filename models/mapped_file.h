// A file of weights, read-only in memory: pages come from disk as they are touched and are the
// kernel's to take back, so that no anonymous memory is spent on them.
//
// Ownership: what is handed out borrows from the mapping. Thread safety: immutable once open.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "kernels/base/status.h"

namespace cliptag {

class MappedFile {
 public:
  MappedFile() = default;
  static Result<MappedFile> Open(const std::string& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;

  std::span<const std::byte> bytes() const {
    return {static_cast<const std::byte*>(address_), size_};
  }

 private:
  void* address_ = nullptr;  // null where the file is empty
  size_t size_ = 0;
};

}  // namespace cliptag
