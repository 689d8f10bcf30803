// What strangers' files hold (names, keys, words) ends up in messages, and messages end up on
// terminals and in logs: control characters, text that changes its direction and bytes that are no
// UTF-8 become '?', and of a long message the middle goes.
//
// Thread safety: pure functions.
#pragma once

#include <string>

namespace cliptag {

std::string PlainText(std::string text);

// The same as a sentence that another one may follow: with a full stop, if it has none.
std::string PlainSentence(std::string text);

}  // namespace cliptag
