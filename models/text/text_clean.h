// Text as open_clip's tokenizers want it, before it is cut into words.
//
// open_clip repairs text with ftfy first. Of ftfy's steps these are done, in its order and until
// nothing changes: HTML references (unless the text has a '<'), C1 controls as Windows-1252, Latin
// ligatures, full- and half-width forms, curly quotes, line breaks, terminal escapes, control
// characters, NFC. Not done is the guessing of wrong encodings ("mojibake", such as "sÃ³" for
// "só"). Then, as open_clip: html.unescape twice, white space collapsed, and what TextClean says.
//
// Thread safe: pure functions.
#pragma once

#include <string>
#include <string_view>

#include "models/config/config.h"

namespace cliptag {

// Texts longer than this many bytes are cut before anything else; no tokenizer here takes so many.
constexpr size_t kMaxTextBytes = 16384;

std::u32string CleanText(std::string_view utf8, TextClean clean);

}  // namespace cliptag
