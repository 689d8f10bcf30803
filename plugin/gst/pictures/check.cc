#include "plugin/gst/pictures/check.h"

#include <cstring>

namespace cliptag {
namespace {

using Bytes = std::span<const uint8_t>;

bool StartsWith(Bytes bytes, size_t offset, const char* text, size_t length) {
  return bytes.size() >= offset + length && std::memcmp(bytes.data() + offset, text, length) == 0;
}

uint32_t BigEndian32(Bytes bytes, size_t at) {
  return uint32_t{bytes[at]} << 24 | uint32_t{bytes[at + 1]} << 16 | uint32_t{bytes[at + 2]} << 8 |
         bytes[at + 3];
}

uint32_t LittleEndian32(Bytes bytes, size_t at) {
  return uint32_t{bytes[at + 3]} << 24 | uint32_t{bytes[at + 2]} << 16 |
         uint32_t{bytes[at + 1]} << 8 | bytes[at];
}

// Walks the marker segments to the end-of-image marker. A search for its two bytes would find those
// of a thumbnail in the EXIF segment.
bool JpegIsComplete(Bytes bytes) {
  constexpr uint8_t kEndOfImage = 0xd9, kTemporary = 0x01, kRestart0 = 0xd0, kStartOfImage = 0xd8;
  size_t at = 2;
  while (at + 1 < bytes.size()) {
    if (bytes[at] != 0xff) {  // entropy-coded data (or junk, which decoders skip too)
      ++at;
      continue;
    }
    const uint8_t marker = bytes[at + 1];
    if (marker == kEndOfImage) return true;
    if (marker == 0xff) {  // fill byte
      ++at;
    } else if (marker == 0x00 || marker == kTemporary ||
               (marker >= kRestart0 && marker <= kStartOfImage)) {
      at += 2;  // a stuffed 0xff, or a marker without a segment
    } else if (at + 3 < bytes.size()) {
      at += 2 + (size_t{bytes[at + 2]} << 8 | bytes[at + 3]);
    } else {
      return false;
    }
  }
  return false;
}

// Chunk after chunk (length, type, data, checksum) to IEND.
bool PngIsComplete(Bytes bytes) {
  size_t at = 8;
  while (at + 12 <= bytes.size()) {
    if (StartsWith(bytes, at + 4, "IEND", 4)) return true;
    at += 12 + size_t{BigEndian32(bytes, at)};
  }
  return false;
}

}  // namespace

bool PictureIsComplete(Bytes bytes) {
  if (StartsWith(bytes, 0, "\xff\xd8\xff", 3)) return JpegIsComplete(bytes);
  if (StartsWith(bytes, 0, "\x89PNG\r\n\x1a\n", 8)) return PngIsComplete(bytes);
  if (StartsWith(bytes, 0, "RIFF", 4) && StartsWith(bytes, 8, "WEBP", 4)) {
    return bytes.size() >= size_t{LittleEndian32(bytes, 4)} + 8;
  }
  return true;
}

}  // namespace cliptag
