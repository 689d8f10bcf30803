#include "models/text/unicode.h"

#include <unicode/uchar.h>
#include <unicode/unorm2.h>
#include <unicode/ustring.h>

#include <algorithm>
#include <charconv>
#include <vector>

#include "models/text/embedded.h"

namespace cliptag {
namespace {

constexpr char32_t kReplacement = 0xFFFD;

std::u16string ToUtf16(std::u32string_view text) {
  std::u16string out;
  out.reserve(text.size());
  for (char32_t c : text) {
    if (c < 0x10000) {
      out += static_cast<char16_t>(c);
    } else {
      out += static_cast<char16_t>(0xD800 + ((c - 0x10000) >> 10));
      out += static_cast<char16_t>(0xDC00 + ((c - 0x10000) & 0x3FF));
    }
  }
  return out;
}

std::u32string FromUtf16(std::u16string_view text) {
  std::u32string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    const char16_t high = text[i];
    if (high >= 0xD800 && high < 0xDC00 && i + 1 < text.size() && text[i + 1] >= 0xDC00 &&
        text[i + 1] < 0xE000) {
      out += static_cast<char32_t>(0x10000 + ((high - 0xD800) << 10) + (text[++i] - 0xDC00));
    } else {
      out += char32_t{high};
    }
  }
  return out;
}

// Runs an ICU function that writes UTF-16 into (buffer, capacity, error) and returns the length.
template <typename Function>
std::u32string Convert(std::u32string_view text, Function function) {
  const std::u16string in = ToUtf16(text);
  std::u16string out(in.size() * 2 + 16, u'\0');
  for (int attempt = 0; attempt < 2; ++attempt) {
    UErrorCode error = U_ZERO_ERROR;
    const int32_t length = function(in, out.data(), static_cast<int32_t>(out.size()), &error);
    if (error == U_BUFFER_OVERFLOW_ERROR) {
      out.resize(static_cast<size_t>(length) + 1);
      continue;
    }
    if (U_FAILURE(error)) break;
    out.resize(static_cast<size_t>(length));
    return FromUtf16(out);
  }
  return std::u32string(text);
}

std::u32string Normalize(std::u32string_view text, const UNormalizer2* (*instance)(UErrorCode*)) {
  UErrorCode error = U_ZERO_ERROR;
  const UNormalizer2* normalizer = instance(&error);
  if (U_FAILURE(error)) return std::u32string(text);
  return Convert(text, [&](const std::u16string& in, char16_t* out, int32_t n, UErrorCode* e) {
    return unorm2_normalize(normalizer, in.data(), static_cast<int32_t>(in.size()), out, n, e);
  });
}

struct Range {
  char32_t first, last;
  char category;  // 'L' or 'N'
};

std::vector<Range> ReadRanges() {
  std::vector<Range> out;
  std::string_view text = EmbeddedLettersAndNumbers();
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    if (line.empty() || line[0] == '#') continue;
    uint32_t first = 0, last = 0;
    const char* end = line.data() + line.size();
    const auto space = std::from_chars(line.data(), end, first, 16);
    std::from_chars(space.ptr + 1, end, last, 16);
    out.push_back({first, last, line.back()});
  }
  return out;
}

// 'L', 'N', or neither.
char Category(char32_t c) {
  if (c < 0x80) {
    if (c >= '0' && c <= '9') return 'N';
    return (c | 0x20) >= 'a' && (c | 0x20) <= 'z' ? 'L' : 0;
  }
  static const auto* ranges = new std::vector<Range>(ReadRanges());
  const auto it = std::partition_point(ranges->begin(), ranges->end(),
                                       [c](const Range& range) { return range.last < c; });
  return it != ranges->end() && it->first <= c ? it->category : 0;
}

}  // namespace

std::u32string DecodeUtf8(std::string_view text) {
  std::u32string out;
  out.reserve(text.size());
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  for (size_t i = 0; i < text.size();) {
    const unsigned char lead = byte(i++);
    if (lead < 0x80) {
      out += lead;
      continue;
    }
    const int more = lead >= 0xC2 && lead < 0xE0   ? 1
                     : lead >= 0xE0 && lead < 0xF0 ? 2
                     : lead >= 0xF0 && lead < 0xF5 ? 3
                                                   : 0;
    // The first continuation byte's range excludes overlong forms, surrogates and > U+10FFFF.
    unsigned char low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    unsigned char high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    char32_t c = lead & (0x3F >> more);
    int left = more;
    for (; left > 0 && i < text.size() && byte(i) >= low && byte(i) <= high; --left) {
      c = c << 6 | (byte(i++) & 0x3F);
      low = 0x80;
      high = 0xBF;
    }
    out += more > 0 && left == 0 ? c : kReplacement;
  }
  return out;
}

void AppendUtf8(char32_t c, std::string* out) {
  if (c >= 0xD800 && c < 0xE000) c = kReplacement;
  const auto put = [&](char32_t b) { *out += static_cast<char>(b); };
  if (c < 0x80) {
    put(c);
  } else if (c < 0x800) {
    put(0xC0 | c >> 6);
    put(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    put(0xE0 | c >> 12);
    put(0x80 | (c >> 6 & 0x3F));
    put(0x80 | (c & 0x3F));
  } else {
    put(0xF0 | c >> 18);
    put(0x80 | (c >> 12 & 0x3F));
    put(0x80 | (c >> 6 & 0x3F));
    put(0x80 | (c & 0x3F));
  }
}

std::string EncodeUtf8(std::u32string_view text) {
  std::string out;
  out.reserve(text.size());
  for (char32_t c : text) AppendUtf8(c, &out);
  return out;
}

bool IsLetter(char32_t c) { return Category(c) == 'L'; }

bool IsNumber(char32_t c) { return Category(c) == 'N'; }

bool IsDecimalDigit(char32_t c) {
  return u_charType(static_cast<UChar32>(c)) == U_DECIMAL_DIGIT_NUMBER;
}

bool IsSpace(char32_t c) {
  return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 ||
         c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F ||
         c == 0x205F || c == 0x3000;
}

std::u32string ToLower(std::u32string_view text) {
  return Convert(text, [](const std::u16string& in, char16_t* out, int32_t n, UErrorCode* e) {
    return u_strToLower(out, n, in.data(), static_cast<int32_t>(in.size()), "", e);
  });
}

std::u32string ToUpper(std::u32string_view text) {
  return Convert(text, [](const std::u16string& in, char16_t* out, int32_t n, UErrorCode* e) {
    return u_strToUpper(out, n, in.data(), static_cast<int32_t>(in.size()), "", e);
  });
}

std::u32string Nfc(std::u32string_view text) { return Normalize(text, unorm2_getNFCInstance); }
std::u32string Nfkc(std::u32string_view text) { return Normalize(text, unorm2_getNFKCInstance); }

}  // namespace cliptag
