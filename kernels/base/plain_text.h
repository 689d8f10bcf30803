// What strangers' files hold (names, keys, words) ends up in messages, and messages end up on
// terminals and in logs: control characters, text that changes its direction and bytes that are no
// UTF-8 become '?', and of a long message the middle goes.
//
// Thread safety: a pure function.
#pragma once

#include <string>

namespace cliptag {

std::string PlainText(std::string text);

}  // namespace cliptag
