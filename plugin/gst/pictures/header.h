// What the first bytes of a file say about the picture in it: its kind, and its size before
// anything is decoded. A kind is known by its magic bytes, from one list, whatever the file is
// called: nothing else reaches a decoder. Pure functions over bytes; thread safe.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace cliptag {

struct PictureKind {
  enum Use : uint8_t {
    kRead,     // ReadPicture decodes it
    kRefused,  // a picture, but one that is only named in the error
    kMoving,   // read as a video where videos are read
    kOther,    // none of the list
  };
  std::string_view name;  // "JPEG"
  Use use = kOther;
};

// Enough of a file for KindOfPicture.
constexpr size_t kPictureMagicBytes = 192;
PictureKind KindOfPicture(std::span<const uint8_t> bytes);

struct PictureSize {
  uint64_t width = 0, height = 0;  // 0: the header does not tell
};

// Of a kind that is read; all of the file's bytes. Of a TIFF file the first picture's.
PictureSize SizeOfPicture(std::string_view kind, std::span<const uint8_t> bytes);

// What libtiff does with a fourth sample is said by a tag of the file.
enum class TiffAlpha : uint8_t { kNone, kSeparate, kMultiplied };
// Of the first picture of a TIFF file; where the colours are not multiplied, the tag is changed so
// that libtiff does not multiply (which would blend them on black).
TiffAlpha KeepTiffColours(std::span<uint8_t> bytes);

}  // namespace cliptag
