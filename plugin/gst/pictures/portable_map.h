// Netpbm's pictures (PBM, PGM, PPM, PAM), whose samples are scaled from the file's own maximum to 8
// bits as PIL does it, round(255 x sample / maximum). OpenCV leaves them as they are.
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

// Packed RGB, of the size above; nothing where the file is damaged or ends too early.
std::optional<std::vector<uint8_t>> ReadPortableMap(std::span<const uint8_t> bytes);

}  // namespace cliptag
