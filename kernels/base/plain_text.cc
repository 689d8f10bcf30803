#include "kernels/base/plain_text.h"

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

namespace cliptag {
namespace {

constexpr size_t kLongest = 2000, kHead = 1400, kTail = 500;  // bytes

struct Character {
  uint32_t code = 0;
  size_t bytes = 1;  // 1 for a byte that does not begin a character
  bool valid = false;
};

// The first character of `text`, which is not empty.
Character Decode(std::string_view text) {
  const auto byte = [&](size_t at) { return static_cast<unsigned char>(text[at]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return {first, 1, true};
  const size_t bytes = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < bytes) return {};
  uint32_t code = first & (0x7fu >> bytes);
  for (size_t i = 1; i < bytes; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return {};
    code = code << 6 | (byte(i) & 0x3f);
  }
  static constexpr uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = code >= 0xd800 && code < 0xe000;
  if (code < kLeast[bytes] || code > 0x10ffff || surrogate) return {};
  return {code, bytes, true};
}

bool IsShown(uint32_t c) {
  const bool control = c < 0x20 || (c >= 0x7f && c < 0xa0);
  const bool bidirectional = (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) ||
                             c == 0x200e || c == 0x200f || c == 0x061c;
  return !control && !bidirectional && c != 0x2028 && c != 0x2029 && c != 0xfeff;
}

bool IsContinuation(char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }

std::string Shortened(const std::string& text) {
  size_t head = kHead, tail = text.size() - kTail;
  while (head > kHead - 3 && IsContinuation(text[head])) --head;
  while (tail < text.size() - kTail + 3 && IsContinuation(text[tail])) ++tail;
  return text.substr(0, head) + " … " + text.substr(tail);
}

}  // namespace

std::string PlainText(std::string text) {
  if (text.size() > kLongest) text = Shortened(text);
  std::string out;
  out.reserve(text.size());
  for (std::string_view rest = text; !rest.empty();) {
    const Character character = Decode(rest);
    if (character.valid && IsShown(character.code)) {
      out.append(rest.substr(0, character.bytes));
    } else {
      out += '?';
    }
    rest.remove_prefix(character.bytes);
  }
  return out;
}

std::string PlainSentence(std::string text) {
  std::string sentence = PlainText(std::move(text));
  if (!sentence.ends_with('.') && !sentence.ends_with('?') && !sentence.ends_with('!'))
    sentence += '.';
  return sentence;
}

}  // namespace cliptag
