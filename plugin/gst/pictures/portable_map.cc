#include "plugin/gst/pictures/portable_map.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <string_view>
#include <utility>

namespace cliptag {
namespace {

using Bytes = std::span<const uint8_t>;

bool IsSpace(uint8_t c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

// Words of the header, or samples in ASCII; "#" begins a comment that ends with its line.
class Words {
 public:
  Words(Bytes bytes, size_t at) : bytes_(bytes), at_(at) {}

  std::string_view Next() {
    while (at_ < bytes_.size() && (IsSpace(bytes_[at_]) || bytes_[at_] == '#')) {
      if (bytes_[at_] == '#') {
        while (at_ < bytes_.size() && bytes_[at_] != '\n') ++at_;
      } else {
        ++at_;
      }
    }
    const size_t first = at_;
    while (at_ < bytes_.size() && !IsSpace(bytes_[at_]) && bytes_[at_] != '#') ++at_;
    return {reinterpret_cast<const char*>(bytes_.data()) + first, at_ - first};
  }

  // False if there is no number, or one of more than nine digits.
  bool Number(uint32_t* value) {
    const std::string_view word = Next();
    if (word.empty() || word.size() > 9) return false;
    *value = 0;
    for (const char c : word) {
      if (c < '0' || c > '9') return false;
      *value = *value * 10 + static_cast<uint32_t>(c - '0');
    }
    return true;
  }

  // A bit of an ASCII bitmap, which needs no space before the next.
  bool Bit(uint32_t* value) {
    const size_t before = at_;
    const std::string_view word = Next();
    if (word.empty() || (word[0] != '0' && word[0] != '1')) return false;
    *value = static_cast<uint32_t>(word[0] - '0');
    at_ -= word.size() - 1;
    return at_ > before;
  }

  size_t at() const { return at_; }

 private:
  const Bytes bytes_;
  size_t at_;
};

struct Header {
  char kind = 0;  // '1' to '7'
  uint32_t width = 0, height = 0, maximum = 1, depth = 1;
  size_t data = 0;  // where the samples begin
};

bool ReadPamHeader(Bytes bytes, Header* header) {
  Words words(bytes, 2);
  for (std::string_view word = words.Next(); !word.empty(); word = words.Next()) {
    if (word == "ENDHDR") {
      header->data = words.at() + 1;
      return header->depth >= 1 && header->depth <= 4;
    }
    uint32_t* const value = word == "WIDTH"    ? &header->width
                            : word == "HEIGHT" ? &header->height
                            : word == "DEPTH"  ? &header->depth
                            : word == "MAXVAL" ? &header->maximum
                                               : nullptr;
    if (value != nullptr ? !words.Number(value) : word != "TUPLTYPE" || words.Next().empty()) {
      return false;
    }
  }
  return false;
}

std::optional<Header> ReadHeader(Bytes bytes) {
  if (!IsPortableMap(bytes)) return {};
  Header header;
  header.kind = static_cast<char>(bytes[1]);
  if (header.kind == '7') {
    if (!ReadPamHeader(bytes, &header)) return {};
  } else {
    Words words(bytes, 2);
    const bool bits = header.kind == '1' || header.kind == '4';
    if (!words.Number(&header.width) || !words.Number(&header.height) ||
        (!bits && !words.Number(&header.maximum))) {
      return {};
    }
    header.data = words.at() + 1;  // after one space character
    header.depth = header.kind == '3' || header.kind == '6' ? 3 : 1;
  }
  if (header.width == 0 || header.height == 0 || header.maximum == 0 || header.maximum > 65535) {
    return {};
  }
  return header;
}

// The samples in the order of the file.
class Samples {
 public:
  Samples(Bytes bytes, const Header& header)
      : bytes_(bytes), header_(header), words_(bytes, header.data), at_(header.data) {}

  // Checked before anything is allocated; binary samples need no other check.
  bool AllThere() const {
    const uint64_t pixels = uint64_t{header_.width} * header_.height;
    uint64_t needed = header_.kind == '1' ? pixels : 2 * pixels * header_.depth - 1;  // in ASCII
    if (header_.kind == '4') needed = uint64_t{header_.width + 7} / 8 * header_.height;
    if (header_.kind >= '5') needed = pixels * header_.depth * (header_.maximum > 255 ? 2 : 1);
    return header_.data <= bytes_.size() && needed <= bytes_.size() - header_.data;
  }

  bool Next(uint32_t x, uint32_t* sample) {
    if (header_.kind == '1') return words_.Bit(sample);
    if (header_.kind < '4') return words_.Number(sample);
    if (header_.kind == '4') {
      *sample = bytes_[at_] >> (7 - x % 8) & 1;
      if (x % 8 == 7 || x + 1 == header_.width) ++at_;
    } else if (header_.maximum > 255) {
      *sample = uint32_t{bytes_[at_]} << 8 | bytes_[at_ + 1];
      at_ += 2;
    } else {
      *sample = bytes_[at_++];
    }
    return true;
  }

 private:
  const Bytes bytes_;
  const Header& header_;
  Words words_;
  size_t at_;
};

}  // namespace

bool IsPortableMap(Bytes bytes) {
  return bytes.size() > 2 && bytes[0] == 'P' && bytes[1] >= '1' && bytes[1] <= '7' &&
         IsSpace(bytes[2]);
}

PictureSize PortableMapSize(Bytes bytes) {
  const std::optional<Header> header = ReadHeader(bytes);
  return header ? PictureSize{header->width, header->height} : PictureSize();
}

std::optional<std::vector<uint8_t>> ReadPortableMap(Bytes bytes) {
  const std::optional<Header> header = ReadHeader(bytes);
  if (!header) return {};
  Samples samples(bytes, *header);
  if (!samples.AllThere()) return {};
  const uint32_t maximum = header->maximum;
  std::vector<uint8_t> scaled(size_t{maximum} + 1);
  for (uint32_t i = 0; i <= maximum; ++i) {
    scaled[i] =
        static_cast<uint8_t>(std::nearbyint(double(i) / maximum * 255));  // as Python's round()
  }
  if (header->kind == '1' || header->kind == '4') std::swap(scaled[0], scaled[1]);  // 1 is black
  std::vector<uint8_t> rgb(size_t{3} * header->width * header->height);
  uint8_t* out = rgb.data();
  for (uint32_t y = 0; y < header->height; ++y) {
    for (uint32_t x = 0; x < header->width; ++x, out += 3) {
      std::array<uint8_t, 4> pixel{};
      for (uint32_t c = 0; c < header->depth; ++c) {
        uint32_t sample = 0;
        if (!samples.Next(x, &sample)) return {};
        pixel[c] = scaled[std::min(sample, maximum)];
      }
      const bool grey = header->depth < 3;
      for (int c = 0; c < 3; ++c) out[c] = pixel[grey ? 0 : c];
    }
  }
  return rgb;
}

}  // namespace cliptag
