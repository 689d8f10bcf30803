// Files that are replaced atomically: a reader finds the old content or the new one, and an error
// leaves the old one. The new content is written to a temporary file, which is then renamed.
// Symbolic links are followed, and a file keeps its permissions. A device, a pipe or a directory is
// refused.
//
// Messages are the reason alone ("No space left on device"); callers say what the file is.
// Thread safety: pure functions over files; of two replacements at once the last one wins.
#pragma once

#include <sys/stat.h>

#include <string>
#include <string_view>

#include "kernels/base/status.h"

namespace cliptag {

// An error if `path` cannot be replaced; to ask before the content is computed.
Status CheckReplaceable(const std::string& path);

struct ReplaceOptions {
  bool follow_links = true;     // else a link is replaced itself
  bool sync = true;             // waits until the bytes are on the disk
  struct stat* made = nullptr;  // of the new file; set on success alone
};
Status ReplaceFile(const std::string& path, std::string_view bytes, ReplaceOptions options = {});

// The steps, for content that is too large to be held in memory.

// The name of the temporary file, in the folder of `target`.
std::string PartOf(const std::string& target);
// Creates it, for reading and writing. -1 and errno if that fails.
int CreatePart(const std::string& part);
// 0, or an errno: some file systems report only then that they are full.
int SyncFile(int fd);

}  // namespace cliptag
