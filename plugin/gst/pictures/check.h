// Whether an encoded picture is all there. Decoders differ in what they do with a file that was cut
// off: OpenCV fills the rest of a JPEG or WebP with grey and calls it decoded. PIL, our reference,
// refuses it, and so do we. Pure functions over bytes; thread safe.
#pragma once

#include <cstdint>
#include <span>

namespace cliptag {

// False when the bytes begin a JPEG, PNG or WebP file and end before it does; true for every other
// kind, whose decoders notice it by themselves.
bool PictureIsComplete(std::span<const uint8_t> bytes);

}  // namespace cliptag
