// A file of weights, read-only in memory: pages come from disk as they are touched and are the
// kernel's to take back, so that no anonymous memory is spent on them. Reading whole files instead
// would need their size in memory beside the weights that are made of them.
//
// Somebody may write to the file meanwhile. Where it becomes shorter, its bytes become zeros
// (models/io/lost_pages.h), where it is written over, they are partly old and partly new: whatever
// was made of them counts only if CheckUnchanged() says so afterwards.
//
// Ownership: what is handed out borrows from the mapping. Thread safety: immutable once open.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "kernels/base/status.h"
#include "models/io/input_file.h"

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
  // An error that names the file when it is no longer what it was when it was opened.
  Status CheckUnchanged() const;

 private:
  std::unique_ptr<InputFile> file_;
  void* address_ = nullptr;  // null where the file is empty
  size_t size_ = 0;
  int place_ = -1;  // among those watched for lost pages
};

}  // namespace cliptag
