// Which row of a matrix is of what: JSON lines beside it, one for each row, {"row", "file", "time"}
// or
// {"row", "text"}. Held in memory until the matrix is whole. One thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "kernels/base/status.h"

namespace cliptag {

class RowNames {
 public:
  void AddFrame(const std::string& file, std::optional<double> time_s);
  void AddText(const std::string& text);
  Status WriteTo(const std::string& path) const;

 private:
  std::string lines_;
  int64_t rows_ = 0;
};

// "photos.npy" -> "photos.rows.jsonl"; empty for what is no regular file to be ("-", a pipe).
std::string RowNamesPath(const std::string& output);

}  // namespace cliptag
