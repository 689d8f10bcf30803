#include "plugin/gst/pictures/header.h"

#include <algorithm>
#include <cstring>

#include "plugin/gst/pictures/portable_map.h"

namespace cliptag {
namespace {

using Bytes = std::span<const uint8_t>;
using std::string_view_literals::operator""sv;

bool Has(Bytes bytes, size_t offset, std::string_view text) {
  return bytes.size() >= offset + text.size() &&
         std::memcmp(bytes.data() + offset, text.data(), text.size()) == 0;
}

// A number of `size` bytes; 0 beyond the end of the file.
uint64_t Number(Bytes bytes, size_t at, size_t size, bool big_endian) {
  if (at > bytes.size() || size > bytes.size() - at) return 0;
  uint64_t value = 0;
  for (size_t i = 0; i < size; ++i) {
    value = value << 8 | bytes[at + (big_endian ? i : size - 1 - i)];
  }
  return value;
}
uint64_t Little(Bytes bytes, size_t at, size_t size) { return Number(bytes, at, size, false); }
uint64_t Big(Bytes bytes, size_t at, size_t size) { return Number(bytes, at, size, true); }

struct Magic {
  std::string_view start;  // at byte 0
  size_t at;               // where `more` stands
  std::string_view more;
  PictureKind kind;
};

constexpr Magic kMagic[] = {
    {"\xff\xd8\xff"sv, 0, ""sv, {"JPEG", PictureKind::kRead}},
    {"\x89PNG\r\n\x1a\n"sv, 0, ""sv, {"PNG", PictureKind::kRead}},
    {"RIFF"sv, 8, "WEBP"sv, {"WebP", PictureKind::kRead}},
    {"II*\0"sv, 0, ""sv, {"TIFF", PictureKind::kRead}},
    {"MM\0*"sv, 0, ""sv, {"TIFF", PictureKind::kRead}},
    {"II+\0"sv, 0, ""sv, {"TIFF", PictureKind::kRead}},
    {"MM\0+"sv, 0, ""sv, {"TIFF", PictureKind::kRead}},
    {"\0\0\0\x0cjP  \r\n\x87\n"sv, 0, ""sv, {"JPEG 2000", PictureKind::kRead}},
    {"\xff\x4f\xff\x51"sv, 0, ""sv, {"JPEG 2000", PictureKind::kRead}},
    {"\x59\xa6\x6a\x95"sv, 0, ""sv, {"Sun raster", PictureKind::kRead}},
    {"GIF8"sv, 0, ""sv, {"GIF", PictureKind::kMoving}},
    {""sv, 4, "ftypavif"sv, {"AVIF", PictureKind::kRefused}},
    {""sv, 4, "ftypavis"sv, {"AVIF", PictureKind::kRefused}},
    {""sv, 4, "ftyphei"sv, {"HEIC", PictureKind::kRefused}},
    {""sv, 4, "ftyphev"sv, {"HEIC", PictureKind::kRefused}},
    {""sv, 4, "ftypmif1"sv, {"HEIC or AVIF", PictureKind::kRefused}},
    {""sv, 4, "ftypmsf1"sv, {"HEIC or AVIF", PictureKind::kRefused}},
    {"\0\0\0\x0cJXL \r\n\x87\n"sv, 0, ""sv, {"JPEG XL", PictureKind::kRefused}},
    {"\xff\x0a"sv, 0, ""sv, {"JPEG XL", PictureKind::kRefused}},
    {"8BPS"sv, 0, ""sv, {"Photoshop", PictureKind::kRefused}},
    {"\x76\x2f\x31\x01"sv, 0, ""sv, {"OpenEXR", PictureKind::kRefused}},
    {"#?RADIANCE"sv, 0, ""sv, {"Radiance HDR", PictureKind::kRefused}},
    {"#?RGBE"sv, 0, ""sv, {"Radiance HDR", PictureKind::kRefused}},
    {"\0\0\1\0"sv, 5, "\0"sv, {"ICO", PictureKind::kRefused}},
    {"%PDF-"sv, 0, ""sv, {"PDF", PictureKind::kRefused}},
    {""sv, 128, "DICM"sv, {"DICOM", PictureKind::kRefused}},
};

bool IsAnimatedWebp(Bytes bytes) {
  constexpr uint8_t kAnimation = 0x02;
  return Has(bytes, 12, "VP8X") && bytes.size() > 20 && (bytes[20] & kAnimation) != 0;
}

// SVG, after a byte order mark, a declaration and comments.
bool IsSvg(Bytes bytes) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()),
                              std::min(bytes.size(), kPictureMagicBytes));
  const size_t first = text.find_first_not_of("\xef\xbb\xbf \t\r\n");
  return first != std::string_view::npos && text[first] == '<' &&
         text.find("<svg") != std::string_view::npos &&
         text.find("<html") == std::string_view::npos;
}

// "BM" alone is too weak a signature: the header size that follows must be a known one, too.
bool IsBmp(Bytes bytes) {
  constexpr uint64_t kHeaders[] = {12, 16, 40, 52, 56, 64, 108, 124};
  return Has(bytes, 0, "BM") && std::find(std::begin(kHeaders), std::end(kHeaders),
                                          Little(bytes, 14, 4)) != std::end(kHeaders);
}

// The first frame header; those of a thumbnail lie inside a segment, which is skipped.
PictureSize JpegSize(Bytes bytes) {
  size_t at = 2;
  while (at + 9 < bytes.size()) {
    if (bytes[at] != 0xff) {
      ++at;
      continue;
    }
    const uint8_t marker = bytes[at + 1];
    const bool frame =
        marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc;
    if (frame) return {Big(bytes, at + 7, 2), Big(bytes, at + 5, 2)};
    if (marker == 0xff) {
      ++at;
    } else if (marker == 0 || marker == 1 || (marker >= 0xd0 && marker <= 0xd8)) {
      at += 2;
    } else {
      at += 2 + Big(bytes, at + 2, 2);
    }
  }
  return {};
}

PictureSize WebpSize(Bytes bytes) {
  if (Has(bytes, 12, "VP8X")) return {Little(bytes, 24, 3) + 1, Little(bytes, 27, 3) + 1};
  if (Has(bytes, 12, "VP8L")) {
    const uint64_t packed = Little(bytes, 21, 4);
    return {(packed & 0x3fff) + 1, (packed >> 14 & 0x3fff) + 1};
  }
  return {Little(bytes, 26, 2) & 0x3fff, Little(bytes, 28, 2) & 0x3fff};
}

PictureSize BmpSize(Bytes bytes) {
  if (Little(bytes, 14, 4) == 12) return {Little(bytes, 18, 2), Little(bytes, 20, 2)};
  const auto side = [&](size_t at) {
    const auto value = static_cast<int32_t>(Little(bytes, at, 4));
    return value < 0 ? uint64_t{0} - static_cast<uint64_t>(int64_t{value}) : uint64_t(value);
  };
  return {side(18), side(22)};  // negative height: rows run from the top
}

// The main header of a codestream: at the start of the file, or in the box that decoders read it
// from. Boxes before that one may hold anything.
PictureSize Jpeg2000Size(Bytes bytes) {
  size_t at = 0;
  while (!Has(bytes, 0, "\xff\x4f"sv) && !Has(bytes, at + 4, "jp2c")) {
    const uint64_t large = Big(bytes, at + 8, 8), length = Big(bytes, at, 4);
    const uint64_t box = length == 1 ? large : length;
    if (box < 8 || box > bytes.size() - at) return {};
    at += box;
  }
  if (Has(bytes, at + 4, "jp2c")) at += Big(bytes, at, 4) == 1 ? 16 : 8;
  if (!Has(bytes, at, "\xff\x4f\xff\x51"sv)) return {};
  return {Big(bytes, at + 8, 4) - std::min(Big(bytes, at + 16, 4), Big(bytes, at + 8, 4)),
          Big(bytes, at + 12, 4) - std::min(Big(bytes, at + 20, 4), Big(bytes, at + 12, 4))};
}

// The first directory of a TIFF file: numbers of 12 bytes each, or 20 in a BigTIFF.
class TiffDirectory {
 public:
  struct Entry {
    size_t at = 0;  // of its value; 0: there is no such entry
    size_t size = 0;
    uint64_t value = 0;  // the first one
  };

  explicit TiffDirectory(Bytes bytes)
      : bytes_(bytes), big_endian_(Has(bytes, 0, "MM")), big_tiff_(Read(2, 2) == 43) {}

  Entry Find(uint64_t tag) const {
    const size_t start = big_tiff_ ? Read(8, 8) : Read(4, 4);
    const size_t count_bytes = big_tiff_ ? 8 : 2, entry_bytes = big_tiff_ ? 20 : 12;
    if (start >= bytes_.size()) return {};
    const uint64_t count = Read(start, count_bytes);
    size_t at = start + count_bytes;
    for (uint64_t i = 0; i < count && at + entry_bytes <= bytes_.size(); ++i, at += entry_bytes) {
      if (Read(at, 2) == tag) return ValueOf(at);
    }
    return {};
  }

  bool big_endian() const { return big_endian_; }

 private:
  uint64_t Read(size_t at, size_t size) const { return Number(bytes_, at, size, big_endian_); }

  Entry ValueOf(size_t at) const {
    const uint64_t type = Read(at + 2, 2);
    const size_t size = type == 1 ? 1 : type == 3 ? 2 : type == 4 ? 4 : type == 16 ? 8 : 0;
    if (size == 0) return {};
    const uint64_t count = Read(at + 4, big_tiff_ ? 8 : 4);
    const size_t room = big_tiff_ ? 8 : 4, inside = at + (big_tiff_ ? 12 : 8);
    const size_t value = count <= room / size ? inside : Read(inside, room);
    if (value > bytes_.size() || size > bytes_.size() - value) return {};
    return {value, size, Read(value, size)};
  }

  const Bytes bytes_;
  const bool big_endian_, big_tiff_;
};

// Tiles are decoded whole, even where the picture covers a part of them.
PictureSize TiffSize(Bytes bytes) {
  constexpr uint64_t kWidth = 256, kHeight = 257, kTileWidth = 322, kTileHeight = 323;
  const TiffDirectory directory(bytes);
  const uint64_t width = directory.Find(kWidth).value, height = directory.Find(kHeight).value;
  if (width == 0 || height == 0) return {};
  return {std::max(width, directory.Find(kTileWidth).value),
          std::max(height, directory.Find(kTileHeight).value)};
}

}  // namespace

PictureKind KindOfPicture(Bytes bytes) {
  for (const Magic& magic : kMagic) {
    if (!Has(bytes, 0, magic.start) || !Has(bytes, magic.at, magic.more)) continue;
    if (magic.kind.name == "WebP" && IsAnimatedWebp(bytes)) {
      return {"animated WebP", PictureKind::kRefused};
    }
    return magic.kind;
  }
  if (IsSvg(bytes)) return {"SVG", PictureKind::kRefused};
  if (IsBmp(bytes)) return {"BMP", PictureKind::kRead};
  if (IsPortableMap(bytes)) return {"PNM", PictureKind::kRead};
  return {};
}

PictureSize SizeOfPicture(std::string_view kind, Bytes bytes) {
  if (kind == "JPEG") return JpegSize(bytes);
  if (kind == "PNG") return {Big(bytes, 16, 4), Big(bytes, 20, 4)};
  if (kind == "WebP") return WebpSize(bytes);
  if (kind == "TIFF") return TiffSize(bytes);
  if (kind == "JPEG 2000") return Jpeg2000Size(bytes);
  if (kind == "Sun raster") return {Big(bytes, 4, 4), Big(bytes, 8, 4)};
  if (kind == "BMP") return BmpSize(bytes);
  if (kind == "PNM") return PortableMapSize(bytes);
  return {};
}

TiffAlpha KeepTiffColours(std::span<uint8_t> bytes) {
  constexpr uint64_t kSamplesPerPixel = 277, kExtraSamples = 338, kPhotometric = 262, kRgb = 2;
  constexpr uint64_t kMultiplied = 1, kSeparate = 2;
  const TiffDirectory directory(bytes);
  const TiffDirectory::Entry extra = directory.Find(kExtraSamples);
  if (extra.at == 0 || directory.Find(kPhotometric).value != kRgb ||
      directory.Find(kSamplesPerPixel).value != 4) {
    return TiffAlpha::kNone;
  }
  if (extra.value == kMultiplied) return TiffAlpha::kMultiplied;
  if (extra.value != kSeparate) return TiffAlpha::kNone;
  bytes[extra.at + (directory.big_endian() ? extra.size - 1 : 0)] = kMultiplied;
  return TiffAlpha::kSeparate;
}

}  // namespace cliptag
