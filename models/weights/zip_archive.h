// The table of contents of a zip file whose entries are stored as they are, as PyTorch writes them:
// where in the file each entry's bytes lie, so that they can be used from a mapping of it. With
// zip64, without decompression. An own reader, because the libraries that read zip files hand out
// copies.
//
// Files come from strangers: no entry can reach outside the file. Thread safety: a pure function.
#pragma once

#include <cstddef>
#include <map>
#include <span>
#include <string>

#include "kernels/base/status.h"

namespace cliptag {

struct ZipEntry {
  std::span<const std::byte> bytes;  // as stored
  bool compressed = false;           // and `bytes` therefore of no use here
};

// By name. `name` is the file's, for messages.
Result<std::map<std::string, ZipEntry>> ReadZip(std::span<const std::byte> file,
                                                const std::string& name);

}  // namespace cliptag
