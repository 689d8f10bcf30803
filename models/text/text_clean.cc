#include "models/text/text_clean.h"

#include "models/text/html_entities.h"
#include "models/text/unicode.h"

namespace cliptag {
namespace {

struct Ligature {
  char32_t from;
  const char32_t* to;
};
constexpr Ligature kLigatures[] = {
    {0x132, U"IJ"},       {0x133, U"ij"},      {0x149, U"\u02BCn"}, {0x1C4, U"D\u017D"},
    {0x1C5, U"D\u017E"},  {0x1C6, U"d\u017E"}, {0x1C7, U"LJ"},      {0x1C8, U"Lj"},
    {0x1C9, U"lj"},       {0x1CA, U"NJ"},      {0x1CB, U"Nj"},      {0x1CC, U"nj"},
    {0x1F1, U"DZ"},       {0x1F2, U"Dz"},      {0x1F3, U"dz"},      {0xFB00, U"ff"},
    {0xFB01, U"fi"},      {0xFB02, U"fl"},     {0xFB03, U"ffi"},    {0xFB04, U"ffl"},
    {0xFB05, U"\u017Ft"}, {0xFB06, U"st"}};

// Everything that replaces one character by itself: C1 controls, ligatures, widths, quotes.
std::u32string FixCharacters(std::u32string_view text) {
  std::u32string out;
  out.reserve(text.size());
  for (char32_t c : text) {
    std::u32string s(1, Windows1252(c));
    for (const Ligature& ligature : kLigatures) {
      if (s[0] == ligature.from) s = ligature.to;
    }
    for (char32_t d : s) {
      if (d == 0x3000) {
        out += U' ';
      } else if (d >= 0xFF01 && d < 0xFFF0) {
        out += Nfkc(std::u32string(1, d));
      } else if (d == 0x2BC || (d >= 0x2018 && d <= 0x201B)) {
        out += U'\'';
      } else if (d >= 0x201C && d <= 0x201F) {
        out += U'"';
      } else {
        out += d;
      }
    }
  }
  return out;
}

std::u32string FixLineBreaks(std::u32string_view text) {
  std::u32string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    const char32_t c = text[i];
    if (c == '\r' && i + 1 < text.size() && text[i + 1] == '\n') continue;
    out += c == '\r' || c == 0x2028 || c == 0x2029 || c == 0x85 ? U'\n' : c;
  }
  return out;
}

// ESC [ digits-and-semicolons letter; a digit is any decimal digit, as Python's \d.
std::u32string RemoveTerminalEscapes(std::u32string_view text) {
  std::u32string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    if (text[i] == 0x1B && i + 1 < text.size() && text[i + 1] == '[') {
      size_t j = i + 2;
      while (j < text.size() && (IsDecimalDigit(text[j]) || text[j] == ';')) ++j;
      if (j < text.size() && text[j] < 0x80 && IsLetter(text[j])) {
        i = j + 1;
        continue;
      }
    }
    out += text[i++];
  }
  return out;
}

std::u32string RemoveControls(std::u32string_view text) {
  std::u32string out;
  out.reserve(text.size());
  for (char32_t c : text) {
    const bool control = c <= 0x08 || c == 0x0B || (c >= 0x0E && c < 0x20) || c == 0x7F ||
                         (c >= 0x206A && c < 0x2070) || c == 0xFEFF || (c >= 0xFFF9 && c < 0xFFFD);
    if (!control) out += c;
  }
  return out;
}

// ftfy's fix_text without its guessing of encodings: line by line, each until nothing changes.
std::u32string FixText(std::u32string_view text) {
  std::u32string out;
  bool unescape = true;  // once a line holds a '<', the text is taken for HTML and left alone
  while (!text.empty()) {
    const size_t newline = text.find(U'\n');
    const size_t length = newline == std::u32string_view::npos ? text.size() : newline + 1;
    std::u32string line(text.substr(0, length));
    text.remove_prefix(length);
    if (line.find(U'<') != std::u32string::npos) unescape = false;
    for (std::u32string before; before != line;) {
      before = line;
      if (unescape) line = UnescapeHtmlStrict(line);
      line = Nfc(RemoveControls(RemoveTerminalEscapes(FixLineBreaks(FixCharacters(line)))));
    }
    out += line;
  }
  return out;
}

std::u32string CollapseSpaces(std::u32string_view text) {
  std::u32string out;
  out.reserve(text.size());
  for (char32_t c : text) {
    if (!IsSpace(c)) {
      out += c;
    } else if (!out.empty() && out.back() != U' ') {
      out += U' ';
    }
  }
  if (!out.empty() && out.back() == U' ') out.pop_back();
  return out;
}

std::u32string RemovePunctuation(std::u32string_view text) {
  std::u32string out;
  for (char32_t c : text) {
    const bool punctuation = (c >= '!' && c <= '/') || (c >= ':' && c <= '@') ||
                             (c >= '[' && c <= '`') || (c >= '{' && c <= '~');
    if (c == '_') out += U' ';
    if (!punctuation) out += c;
  }
  return out;
}

}  // namespace

std::u32string CleanText(std::string_view utf8, TextClean clean) {
  std::u32string text = FixText(DecodeUtf8(utf8.substr(0, kMaxTextBytes)));
  text = UnescapeHtml(UnescapeHtml(text));
  switch (clean) {
    case TextClean::kLower:
      return ToLower(CollapseSpaces(text));
    case TextClean::kWhitespace:
      return CollapseSpaces(text);
    case TextClean::kCanonicalize:
      return CollapseSpaces(ToLower(RemovePunctuation(text)));
  }
  return text;
}

}  // namespace cliptag
