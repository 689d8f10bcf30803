// The one way to open a file whose name comes from somebody else: a model's, a user's, a hub's.
// Only regular files are opened (a pipe or a device of that name would be waited for, or never
// end), and whoever reads one whole says how large it may be.
//
// Ownership: an InputFile closes its descriptor. Thread safety: reads may overlap.
#pragma once

#include <sys/stat.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "kernels/base/status.h"

namespace cliptag {

class InputFile {
 public:
  static Result<InputFile> Open(const std::string& path);
  ~InputFile();
  InputFile(InputFile&& other) noexcept;
  InputFile& operator=(InputFile&& other) noexcept;

  int fd() const { return fd_; }
  const std::string& path() const { return path_; }
  uint64_t size() const { return static_cast<uint64_t>(info_.st_size); }  // when it was opened
  // Up to `bytes` from there on: fewer where the file ends.
  Result<std::string> Read(uint64_t offset, size_t bytes) const;
  // All of it. Larger than `max_bytes` is an error: "PATH is larger than the N MB that WHAT may
  // have."
  Result<std::string> ReadAll(size_t max_bytes, std::string_view what = "such a file") const;
  // An error when it has been written to since it was opened.
  Status CheckUnchanged() const;
  Status Changed() const;  // that error

 private:
  InputFile() = default;

  std::string path_;
  int fd_ = -1;
  struct stat info_ {};
};

// The whole file as bytes.
inline constexpr size_t kMaxTextFileBytes = size_t{128} << 20;
Result<std::string> ReadFile(const std::string& path, size_t max_bytes = kMaxTextFileBytes);

}  // namespace cliptag
