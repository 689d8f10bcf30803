// Data that is compiled in (made from models/vocab by models/text/embed.py): no file has to be
// found for it at run time. Thread safe: constants.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace cliptag {

// HTML's named character references, one a line; see models/vocab/html5_entities.txt.
std::string_view EmbeddedHtmlEntities();

// Ranges of letters and numbers, one a line; see models/vocab/letters_numbers.txt.
std::string_view EmbeddedLettersAndNumbers();

// CLIP's public BPE merges in rank order: merge i joins the tokens [2i] and [2i+1] and makes token
// 512 + i. Tokens 0..255 are bytes within a word, 256..511 bytes that end one, in CLIP's byte
// order.
std::span<const uint16_t> EmbeddedClipMerges();

}  // namespace cliptag
