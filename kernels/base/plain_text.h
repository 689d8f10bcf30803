// Makes text from untrusted files (names, keys, words) safe for terminals and logs: control
// characters, bidirectional controls and invalid UTF-8 become '?', and long text loses its middle.
//
// Thread safety: pure functions.
#pragma once

#include <string>

namespace cliptag {

std::string PlainText(std::string text);

// The same, with a full stop if it has none, so that another sentence may follow.
std::string PlainSentence(std::string text);

}  // namespace cliptag
