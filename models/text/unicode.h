// The few Unicode questions that CLIP's text cleaning and tokenizer ask: what is a letter or a
// number from a table of our own, because words must be cut alike on every machine; case and normal
// forms from ICU. Text is UTF-8 at the edges and code points (char32_t) within. Thread safe.
#pragma once

#include <string>
#include <string_view>

namespace cliptag {

// Bytes that are no UTF-8 become U+FFFD, as Python's errors="replace" does it.
std::u32string DecodeUtf8(std::string_view text);
std::string EncodeUtf8(std::u32string_view text);
void AppendUtf8(char32_t c, std::string* out);

bool IsLetter(char32_t c);        // general category L*
bool IsNumber(char32_t c);        // general category N*
bool IsDecimalDigit(char32_t c);  // general category Nd
bool IsSpace(char32_t c);         // as Python's str.split() separates

std::u32string ToLower(std::u32string_view text);  // full mapping, final sigma included
std::u32string ToUpper(std::u32string_view text);
std::u32string Nfc(std::u32string_view text);
std::u32string Nfkc(std::u32string_view text);

}  // namespace cliptag
