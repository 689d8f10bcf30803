#include "models/text/html_entities.h"

#include <algorithm>
#include <string>
#include <unordered_map>

#include "models/text/embedded.h"
#include "models/text/unicode.h"

namespace cliptag {
namespace {

using Table = std::unordered_map<std::string, std::u32string>;

Table ReadTable() {
  Table table;
  std::string_view text = EmbeddedHtmlEntities();
  while (!text.empty()) {
    const size_t newline = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, newline);
    text.remove_prefix(std::min(newline + 1, text.size()));
    if (line.empty() || line[0] == '#') continue;
    const size_t space = line.find(' ');
    std::u32string value;
    char32_t c = 0;
    for (char digit : line.substr(space + 1)) {
      if (digit == ' ') {
        value += c;
        c = 0;
      } else {
        c = c << 4 | static_cast<char32_t>(digit <= '9' ? digit - '0' : digit - 'a' + 10);
      }
    }
    value += c;
    table.emplace(line.substr(0, space), std::move(value));
  }
  return table;
}

const std::u32string* Find(const std::string& name) {
  static const Table* table = new Table(ReadTable());
  const auto it = table->find(name);
  return it == table->end() ? nullptr : &it->second;
}

bool IsDigit(char32_t c) { return c >= '0' && c <= '9'; }
bool IsHexDigit(char32_t c) {
  return IsDigit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

// What a numeric reference stands for; nothing for the code points that HTML forbids.
std::u32string FromNumber(uint32_t n) {
  if (n == 0 || (n >= 0xD800 && n <= 0xDFFF) || n > 0x10FFFF) return U"\xFFFD";
  if (n >= 0x80 && n <= 0x9F) return {Windows1252(n)};
  if (n == 0x0D) return U"\r";
  const bool control = n <= 0x08 || n == 0x0B || (n >= 0x0E && n <= 0x1F) || n == 0x7F;
  const bool not_a_character = (n >= 0xFDD0 && n <= 0xFDEF) || (n & 0xFFFE) == 0xFFFE;
  if (control || not_a_character) return {};
  return {static_cast<char32_t>(n)};
}

// A numeric reference at `i` (of '#'), its end past an optional semicolon in *end; false if it is
// none.
bool ReadNumber(std::u32string_view text, size_t i, size_t* end, std::u32string* value) {
  ++i;
  const bool hex = i < text.size() && (text[i] == 'x' || text[i] == 'X');
  if (hex) ++i;
  const size_t first = i;
  uint32_t n = 0;
  for (; i < text.size() && (hex ? IsHexDigit(text[i]) : IsDigit(text[i])); ++i) {
    const char32_t c = text[i];
    const uint32_t digit = IsDigit(c) ? c - '0' : (c | 0x20) - 'a' + 10;
    n = std::min<uint32_t>(n * (hex ? 16 : 10) + digit, 0x110000);  // saturates past the last one
  }
  if (i == first) return false;
  if (i < text.size() && text[i] == ';') ++i;
  *end = i;
  *value = FromNumber(n);
  return true;
}

// A named reference at `i` (after '&'): the longest known prefix of the name, as HTML does it.
bool ReadName(std::u32string_view text, size_t i, size_t* end, std::u32string* value) {
  std::string name;
  size_t j = i;
  for (; j < text.size() && j - i < 32; ++j) {
    const char32_t c = text[j];
    if (c == '\t' || c == '\n' || c == '\f' || c == ' ' || c == '<' || c == '&' || c == '#' ||
        c == ';') {
      break;
    }
    name += c < 0x80 ? static_cast<char>(c) : '\x01';  // no entity has one
  }
  if (j < text.size() && text[j] == ';') name += ';';
  for (; name.size() > 1; name.pop_back()) {
    if (const std::u32string* found = Find(name)) {
      *end = i + name.size();
      *value = *found;
      return true;
    }
  }
  return false;
}

// "&EACUTE;" is nobody's entity, but its meaning is plain if no other reading exists.
bool ReadCapitals(const std::string& name, std::u32string_view reference, std::u32string* value) {
  std::string lower = name;
  for (char& c : lower) {
    if (c >= 'a' && c <= 'z') return false;
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
  }
  const std::u32string* found = Find(lower);
  if (found == nullptr) return false;
  if (UnescapeHtml(reference) != reference) return false;
  *value = ToUpper(*found);
  return true;
}

}  // namespace

char32_t Windows1252(char32_t c) {
  static constexpr char16_t kTable[32] = {
      0x20AC, 0x81,   0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160,
      0x2039, 0x0152, 0x8D,   0x017D, 0x8F,   0x90,   0x2018, 0x2019, 0x201C, 0x201D, 0x2022,
      0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0x9D,   0x017E, 0x0178};
  return c >= 0x80 && c <= 0x9F ? kTable[c - 0x80] : c;
}

std::u32string UnescapeHtml(std::u32string_view text) {
  std::u32string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    size_t end = 0;
    std::u32string value;
    if (text[i] == '&' && i + 1 < text.size() &&
        (text[i + 1] == '#' ? ReadNumber(text, i + 1, &end, &value)
                            : ReadName(text, i + 1, &end, &value))) {
      out += value;
      i = end;
    } else {
      out += text[i++];
    }
  }
  return out;
}

std::u32string UnescapeHtmlStrict(std::u32string_view text) {
  std::u32string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    // &#?[0-9A-Za-z]{1,24};
    size_t j = i + 1;
    if (text[i] == '&' && j < text.size() && text[j] == '#') ++j;
    std::string name;
    while (text[i] == '&' && j < text.size() && name.size() < 25 &&
           (IsDigit(text[j]) || ((text[j] | 0x20) >= 'a' && (text[j] | 0x20) <= 'z'))) {
      name += static_cast<char>(text[j++]);
    }
    const bool reference = !name.empty() && name.size() <= 24 && j < text.size() && text[j] == ';';
    if (!reference) {
      out += text[i++];
      continue;
    }
    const std::u32string_view whole = text.substr(i, j + 1 - i);
    std::u32string value(whole);
    name += ';';
    if (whole[1] == '#') {
      const std::u32string unescaped = UnescapeHtml(whole);
      if (unescaped.find(U';') == std::u32string::npos) value = unescaped;
    } else if (const std::u32string* found = Find(name)) {
      value = *found;
    } else {
      ReadCapitals(name, whole, &value);
    }
    out += value;
    i = j + 1;
  }
  return out;
}

}  // namespace cliptag
