// Where what is worth keeping between runs lies. Thread safety: any thread.
#pragma once

#include <string>

namespace cliptag {

// Where this user's files that can be made again are kept: $XDG_CACHE_HOME/cliptag, else
// ~/.cache/cliptag; empty where neither variable is set.
std::string UserCacheDirectory();

// Where files of one kind among them are kept: the folder KIND in $CLIPTAG_CACHE where that is set,
// else in the user's cache. Empty, and then nothing is kept, where that variable is empty or
// nothing says where the user's cache is. $CLIPTAG_TEXT_CACHE, the old name, still names the folder
// of texts and precision trials itself.
std::string CacheDirectory(const std::string& kind);

// A name for a cache's file, without an ending: what is readable of `name`, which may be any text,
// and the beginning of `identity`.
std::string CacheFileName(const std::string& name, const std::string& identity);

// Opens a cache's file that this user, or root, has made; what it creates is private to the user.
// What another user has put there could give wrong results, and a link would lead writes to a file
// that is no cache. Does not wait for a pipe of that name. -1 and errno: EPERM for another user's
// file, ELOOP for a link.
int OpenOwn(const std::string& path, int flags);

}  // namespace cliptag
