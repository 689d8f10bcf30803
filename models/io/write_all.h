// Writing that goes on where a call has taken a part, or a signal came between.
//
// Thread safety: a pure function over descriptors.
#pragma once

#include <unistd.h>

#include <cerrno>
#include <string_view>

namespace cliptag {

// All of `bytes`. 0, or an errno.
inline int WriteAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return n < 0 ? errno : EIO;
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return 0;
}

}  // namespace cliptag
