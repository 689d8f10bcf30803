#include "plugin/gst/pictures/masked_bmp.h"

#include <array>
#include <bit>
#include <cstddef>

namespace cliptag {
namespace {

using Bytes = std::span<const uint8_t>;

constexpr uint32_t kRgb = 0, kBitFields = 3, kAlphaBitFields = 6;
constexpr size_t kMasksAt = 54;  // also in later versions of the header

// 0 beyond the end of the file.
uint32_t Little(Bytes bytes, size_t at, size_t size) {
  if (at > bytes.size() || size > bytes.size() - at) return 0;
  uint32_t value = 0;
  for (size_t i = size; i-- > 0;) value = value << 8 | bytes[at + i];
  return value;
}

struct Header {
  uint32_t width, height, bits, compression;
  bool topmost_first;

  explicit Header(Bytes bytes)
      : width(Little(bytes, 18, 4)),
        height(Little(bytes, 22, 4)),
        bits(Little(bytes, 28, 2)),
        compression(Little(bytes, 30, 4)),
        topmost_first(height >> 31 != 0) {
    if (topmost_first) height = 0 - height;
    if (Little(bytes, 14, 4) < 40) bits = 0;  // OS/2's header has no such field
  }
  bool masked() const { return compression == kBitFields || compression == kAlphaBitFields; }
};

// The bits of a colour in a pixel.
struct Field {
  int shift = 0;
  uint64_t maximum = 0;  // 0: the pixels lack this colour

  explicit Field(uint32_t mask)
      : shift(mask == 0 ? 0 : std::countr_zero(mask)), maximum(uint64_t{mask} >> shift) {}
  bool is_whole() const { return (maximum & (maximum + 1)) == 0; }
  uint8_t Of(uint32_t pixel) const {
    return maximum == 0
               ? 0
               : static_cast<uint8_t>((uint64_t{pixel} >> shift & maximum) * 255 / maximum);
  }
};

}  // namespace

bool IsMaskedBmp(Bytes bytes) {
  const Header header(bytes);
  return (header.bits == 16 && (header.compression == kRgb || header.masked())) ||
         (header.bits == 32 && header.masked());
}

std::optional<std::vector<uint8_t>> ReadMaskedBmp(Bytes bytes) {
  const Header header(bytes);
  const uint64_t width = header.width, height = header.height, begin = Little(bytes, 10, 4);
  const uint64_t row_bytes = (width * header.bits + 31) / 32 * 4;
  if (width == 0 || height == 0 || width >> 31 != 0 || height > bytes.size() ||
      begin > bytes.size() || row_bytes > (bytes.size() - begin) / height) {
    return {};
  }
  const auto mask = [&](size_t i, uint32_t usual) {
    return Field(header.masked() ? Little(bytes, kMasksAt + 4 * i, 4) : usual);
  };
  const std::array<Field, 3> fields{mask(0, 0x7c00), mask(1, 0x3e0), mask(2, 0x1f)};
  for (const Field& field : fields) {
    if (!field.is_whole()) return {};
  }
  std::vector<uint8_t> rgb(3 * width * height);
  uint8_t* out = rgb.data();
  const size_t pixel_bytes = header.bits / 8;
  for (uint64_t y = 0; y < height; ++y) {
    const uint64_t row = header.topmost_first ? y : height - 1 - y;
    for (uint64_t x = 0; x < width; ++x) {
      const uint32_t pixel = Little(bytes, begin + row * row_bytes + x * pixel_bytes, pixel_bytes);
      for (const Field& field : fields) *out++ = field.Of(pixel);
    }
  }
  return rgb;
}

}  // namespace cliptag
