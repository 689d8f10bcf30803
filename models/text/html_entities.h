// HTML character references to text, in the two ways that open_clip's cleaning applies them.
// Thread safe: pure functions over a table built once.
#pragma once

#include <string>
#include <string_view>

namespace cliptag {

// As Python's html.unescape: the whole HTML5 table, references without a semicolon, the standard's
// replacements for invalid numbers.
std::u32string UnescapeHtml(std::u32string_view text);

// As ftfy's unescape_html: only references that end in a semicolon, and all-capitals names
// ("&EACUTE;") where they are unambiguous.
std::u32string UnescapeHtmlStrict(std::u32string_view text);

// What a byte 0x80..0x9F means in Windows-1252; itself where that leaves it undefined.
char32_t Windows1252(char32_t c);

}  // namespace cliptag
