// Pictures made by arithmetic, to try a model on where there is no file: the same on every machine.
//
// Thread safety: a pure function.
#pragma once

#include <cstdint>
#include <vector>

namespace cliptag {

// Flat, dark, bright, gradients, textures of several scales (some with the spectrum of photos),
// noise, shapes in colours, high contrast. No working model takes the first three for one another.
constexpr int kTestPictures = 24;

// Picture `which` of those, packed RGB, size x size.
std::vector<uint8_t> TestPicture(int which, int size);

}  // namespace cliptag
