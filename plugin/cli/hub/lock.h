// A lock between processes: whoever holds the file. It goes with the process, however that ends.
//
// Thread safety: belongs to one thread.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "kernels/base/status.h"

namespace cliptag {

class FileLock {
 public:
  // Makes the file if need be. While another process holds it, calls `waiting` again and again,
  // which may end it by an error.
  static Result<std::unique_ptr<FileLock>> Take(const std::string& path,
                                                const std::function<Status()>& waiting);
  ~FileLock();  // removes the file
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

 private:
  FileLock(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}
  const std::string path_;
  const int fd_;
};

}  // namespace cliptag
