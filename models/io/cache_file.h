// Small results that are worth keeping between runs: a file of its own for each in
// CacheDirectory(KIND), NAME.KIND, three lines:
//   cliptag KIND 1
//   IDENTITY BODY
//   CHECKSUM                  of the two lines above
// A file counts only if it is exactly so, is of this user or root, and names the same identity;
// else it is as if there were none, and the next write replaces it. A file appears whole under its
// name, so that processes do not disturb each other.
//
// Thread safety: functions of files; any thread, any number of processes.
#pragma once

#include <optional>
#include <string>

#include "kernels/base/status.h"

namespace cliptag {

struct CacheFile {
  std::string kind;
  std::string path;      // empty: nothing is kept
  std::string identity;  // of everything that decides the result
};

// Where the result of that identity about the model `name` is kept.
CacheFile FindCacheFile(const std::string& kind, const std::string& name,
                        const std::string& identity);

// The body; nothing where no valid one is kept.
std::optional<std::string> ReadCacheFile(const CacheFile& file);

// Errors say what cannot be written, and why. Without a path nothing is written, and all is well.
Status WriteCacheFile(const CacheFile& file, const std::string& body);

}  // namespace cliptag
