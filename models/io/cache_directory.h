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

}  // namespace cliptag
