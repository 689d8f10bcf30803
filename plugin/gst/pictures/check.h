// Whether an encoded picture is complete. Decoders differ on truncated files: OpenCV fills the rest
// of a JPEG or WebP with grey and reports success. PIL, our reference, refuses them, and so do we.
// Pure functions over bytes; thread safe.
#pragma once

#include <cstdint>
#include <span>

namespace cliptag {

// False for a JPEG, PNG or WebP file that is truncated. True for every other kind: their decoders
// report it.
bool PictureIsComplete(std::span<const uint8_t> bytes);

}  // namespace cliptag
