// Windows bitmaps of 16 bits a pixel, and of 32 with masks that say where each colour lies. OpenCV
// takes the masks for the usual ones, whatever they are, and leaves 5 bits unscaled; PIL scales,
// 255 x sample / 31.
//
// Thread safety: pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace cliptag {

// Of a file that begins as a BMP.
bool IsMaskedBmp(std::span<const uint8_t> bytes);

// Packed RGB, the topmost row first; nothing where the file is damaged or ends too early.
std::optional<std::vector<uint8_t>> ReadMaskedBmp(std::span<const uint8_t> bytes);

}  // namespace cliptag
