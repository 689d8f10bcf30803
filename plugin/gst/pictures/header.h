// The kind and size of a picture, from the first bytes of its file, before anything is decoded.
// Only kinds on one list of magic bytes reach a decoder; the name of the file does not count. Pure
// functions over bytes; thread safe.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace cliptag {

struct PictureKind {
  enum Use : uint8_t {
    kRead,     // ReadPicture decodes it
    kRefused,  // a picture that is not supported; the error names its kind
    kMoving,   // read as a video where videos are read
    kOther,    // not on the list
  };
  std::string_view name;  // "JPEG"
  Use use = kOther;
};

// Enough of a file for KindOfPicture.
constexpr size_t kPictureMagicBytes = 192;
PictureKind KindOfPicture(std::span<const uint8_t> bytes);

struct PictureSize {
  uint64_t width = 0, height = 0;  // 0: unknown
};

// For kinds that are read; `bytes` is the whole file. The first picture of a TIFF file counts.
PictureSize SizeOfPicture(std::string_view kind, std::span<const uint8_t> bytes);

// A tag of a TIFF file says whether its fourth sample is alpha, which libtiff multiplies with.
enum class TiffAlpha : uint8_t { kNone, kSeparate, kMultiplied };
// Of the first picture of a TIFF file; where the colours are not multiplied, the tag is changed so
// that libtiff does not multiply (which would blend them on black).
TiffAlpha KeepTiffColours(std::span<uint8_t> bytes);

}  // namespace cliptag
