// Windows bitmaps of 16 bits a pixel, and of 32 with masks for the colours. OpenCV ignores unusual
// masks and leaves 5 bits unscaled; PIL scales them, 255 x sample / 31.
//
// Thread safety: pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace cliptag {

// For a file that begins as a BMP.
bool IsMaskedBmp(std::span<const uint8_t> bytes);

// Packed RGB, rows from the top; nothing if the file is damaged or truncated.
std::optional<std::vector<uint8_t>> ReadMaskedBmp(std::span<const uint8_t> bytes);

}  // namespace cliptag
