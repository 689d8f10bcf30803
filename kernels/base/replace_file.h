// Files that are replaced whole: whoever reads one meanwhile finds what was there before or all
// that is there now, and what goes wrong leaves what was there. Symbolic links are followed, and a
// file keeps its permissions. What is no regular file (a device, a pipe, a directory) is refused,
// for it would be replaced by one.
//
// Messages are the reason alone ("No space left on device"); callers say what the file is.
// Thread safety: pure functions over files; of two replacements at once the last one wins.
#pragma once

#include <sys/stat.h>

#include <string>
#include <string_view>

#include "kernels/base/status.h"

namespace cliptag {

// What can be told of writing to `path` before there is anything to write.
Status CheckReplaceable(const std::string& path);

struct ReplaceOptions {
  bool follow_links = true;     // else a link is replaced itself
  bool sync = true;             // waits until the bytes are on the disk
  struct stat* made = nullptr;  // of the new file
};
Status ReplaceFile(const std::string& path, std::string_view bytes, ReplaceOptions options = {});

// The pieces, for what is too large to be held in memory whole.

// Where what is to replace `target` is written: beside it, so that it can be renamed over it.
std::string PartOf(const std::string& target);
// Opens that for reading and writing, empty. -1 and errno.
int CreatePart(const std::string& part);
// 0, or an errno: some file systems tell only then that they are full.
int SyncFile(int fd);

}  // namespace cliptag
