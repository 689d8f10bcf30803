// Writes float32 matrices as NPY files (format 1.0, C order), row by row, whole or not at all: rows
// go to a temporary file beside the output, which takes its name only when Finish() has succeeded.
// An output that is no regular file (a pipe, /dev/stdout), or "-" for standard output, is written
// at the end.
//
// Thread safety: none; one thread.
#pragma once

#include <cstdint>
#include <cstdio>
#include <memory>
#include <span>
#include <string>

#include "kernels/base/status.h"
#include "plugin/cli/formats/unfinished_file.h"

namespace cliptag {

// The header of a (rows, cols) float32 matrix, always of the same length so that it can be written
// again once the rows are counted.
std::string NpyHeader(int64_t rows, int64_t cols);

class NpyWriter {
 public:
  // Fails at once where the output cannot be written.
  static Result<std::unique_ptr<NpyWriter>> Create(const std::string& path);
  ~NpyWriter();  // without Finish(): leaves no file
  NpyWriter(const NpyWriter&) = delete;
  NpyWriter& operator=(const NpyWriter&) = delete;

  Status Append(std::span<const float> row);  // all as long as the first
  Status Finish();
  int64_t rows() const { return rows_; }

 private:
  NpyWriter() = default;
  Status WriteFailed() const;
  Status CopyToOutput();

  std::string path_;    // as the user wrote it, for messages
  std::string target_;  // with symbolic links followed
  std::string temporary_;
  std::unique_ptr<UnfinishedFile> unfinished_;  // the same, for signals
  std::FILE* file_ = nullptr;
  bool regular_ = true;
  int64_t cols_ = 0, rows_ = 0;
};

}  // namespace cliptag
