// Netpbm pictures (PBM, PGM, PPM, PAM). Samples are scaled from the file's maximum to 8 bits as PIL
// does it, round(255 x sample / maximum); OpenCV does not scale them.
//
// Thread safety: pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "plugin/gst/pictures/header.h"

namespace cliptag {

bool IsPortableMap(std::span<const uint8_t> bytes);
PictureSize PortableMapSize(std::span<const uint8_t> bytes);

// Packed RGB of that size; nothing if the file is damaged or truncated.
std::optional<std::vector<uint8_t>> ReadPortableMap(std::span<const uint8_t> bytes);

}  // namespace cliptag
