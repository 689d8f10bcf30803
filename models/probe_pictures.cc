#include "models/probe_pictures.h"

#include <algorithm>
#include <cstdlib>

namespace cliptag {
namespace {

struct Rgb {
  int r = 0, g = 0, b = 0;
};

Rgb Grey(int value) { return {value, value, value}; }

// 0..255, without a pattern, from a place and a seed.
int Noise(int x, int y, int seed) {
  uint32_t h = static_cast<uint32_t>(x) * 0x9E3779B1u ^ static_cast<uint32_t>(y) * 0x85EBCA77u ^
               static_cast<uint32_t>(seed) * 0xC2B2AE3Du;
  h = (h ^ (h >> 15)) * 0x2C1B3C6Du;
  h = (h ^ (h >> 12)) * 0x297A2D39u;
  return static_cast<int>((h ^ (h >> 15)) >> 24);
}

// Noise on a grid of `cell` pixels, linear between its points.
int SmoothNoise(int x, int y, int cell, int seed) {
  const int i = x / cell, j = y / cell, fx = x % cell, fy = y % cell;
  const int top = Noise(i, j, seed) * (cell - fx) + Noise(i + 1, j, seed) * fx;
  const int bottom = Noise(i, j + 1, seed) * (cell - fx) + Noise(i + 1, j + 1, seed) * fx;
  return (top * (cell - fy) + bottom * fy) / (cell * cell);
}

// Smooth noise of ever smaller cells at ever less weight, as in photos: 0..255 about 128.
int Clouds(int x, int y, int largest, int seed) {
  int sum = 0, weights = 0;
  for (int cell = largest, weight = 16; weight > 0 && cell > 0; cell /= 2, weight /= 2) {
    sum += weight * SmoothNoise(x, y, cell, seed + weight);
    weights += weight;
  }
  return std::clamp(128 + (sum / weights - 128) * 2, 0, 255);
}

Rgb ColourClouds(int x, int y, int largest, int seed) {
  const int light = Clouds(x, y, largest, seed);
  const auto tint = [&](int s) { return SmoothNoise(x, y, largest, seed + s) - 128; };
  return {light + tint(101) / 2, light + tint(102) / 2, light + tint(103) / 2};
}

// One of a few dozen strong colours.
Rgb Strong(int index) {
  return {Noise(index, 1, 7) / 64 * 85, Noise(index, 2, 7) / 64 * 85, Noise(index, 3, 7) / 64 * 85};
}

// The last of a handful of discs that covers the place; -1 where none does.
int DiscAt(int x, int y, int size, int discs, int seed) {
  for (int i = discs - 1; i >= 0; --i) {
    const int dx = x - Noise(i, 0, seed) * size / 256, dy = y - Noise(i, 1, seed) * size / 256;
    const int radius = size / 24 + Noise(i, 2, seed) * size / 1536;
    if (dx * dx + dy * dy < radius * radius) return i;
  }
  return -1;
}

// The last of a dozen upright boxes that covers the place; -1 where none does.
int BoxAt(int x, int y, int size, int seed) {
  for (int i = 11; i >= 0; --i) {
    const int left = Noise(i, 0, seed) * size / 256, top = Noise(i, 1, seed) * size / 256;
    const int width = size / 16 + Noise(i, 2, seed) * size / 768;
    const int height = size / 16 + Noise(i, 3, seed) * size / 768;
    if (x >= left && x < left + width && y >= top && y < top + height) return i;
  }
  return -1;
}

Rgb Rings(int x, int y, int size) {
  const int u = x * 64 / size, v = y * 64 / size;
  const int dx = u - 32, dy = v - 32;
  return {(dx * dx + dy * dy) / 4 % 256, u * 4, 255 - v * 4};
}

Rgb Landscape(int x, int y, int size) {
  const int horizon = size / 2 + (SmoothNoise(x, 0, std::max(size / 5, 1), 31) - 128) * size / 1024;
  if (y < horizon) return {90 + y * 120 / size, 140 + y * 100 / size, 235};
  const int ground = Clouds(x, y, std::max(size / 10, 1), 32);
  return {40 + ground / 3, 60 + ground / 2, 20 + ground / 6};
}

// Rows of short dark strokes on white, as a page of text has.
Rgb Page(int x, int y, int size) {
  const int line = std::max(size / 16, 2), word = std::max(size / 28, 1);
  const bool between = y % line < line / 2 || x < size / 10 || x > size - size / 10;
  if (between || Noise(x / word, y / line, 41) < 60) return Grey(250);
  return Grey(Noise(x, y, 42) < 140 ? 25 : 230);
}

Rgb Pixel(int which, int x, int y, int size) {
  const int large = std::max(size / 3, 1), small = std::max(size / 24, 1);
  const int u = x * 255 / size, v = y * 255 / size;
  switch (which) {
    case 0:
      return Rings(x, y, size);
    case 1: {
      const Rgb rings = Rings(x, y, size);
      return {255 - rings.r, 255 - rings.g, 255 - rings.b};
    }
    case 2:
      return {x * 64 / size / 4 % 2 * 255, 40, y * 64 / size / 8 % 2 * 200};
    case 3:
      return Grey(128);
    case 4:
      return {12, 10, 14};
    case 5:
      return {230, 30, 40};
    case 6:
      return Grey(u);
    case 7:
      return {u, v, 255 - (u + v) / 2};
    case 8:
      return Landscape(x, y, size);
    case 9:
      return Grey(Noise(x, y, 1));
    case 10:
      return {Noise(x, y, 2), Noise(x, y, 3), Noise(x, y, 4)};
    case 11:
      return Grey(Clouds(x, y, large, 5));
    case 12:
      return ColourClouds(x, y, large, 200);
    case 13:
      return ColourClouds(x, y, small, 400);
    case 14:
      return Grey(Clouds(x, y, large, 6) / 7);
    case 15:  // lamps in the night
      return DiscAt(x, y, size, 6, 11) >= 0 ? Rgb{255, 240, 190} : Grey(Noise(x, y, 12) / 16);
    case 16:  // fog
      return Grey(200 + Clouds(x, y, large, 13) / 6);
    case 17:
      return Grey(Clouds(x, y, std::max(size / 6, 1), 14) < 128 ? 0 : 255);
    case 18:
      return Grey((x / 3 + y / 3) % 2 * 255);
    case 19:
      return Strong(x * 8 / size + 8 * (y * 8 / size));
    case 20: {
      const int disc = DiscAt(x, y, size, 10, 15);
      return disc >= 0 ? Strong(disc + 70) : Grey(60 + v / 2);
    }
    case 21: {
      const int box = BoxAt(x, y, size, 16);
      return box >= 0 ? Strong(box + 90) : ColourClouds(x, y, large, 600);
    }
    case 22:
      return Grey((x + y) / 5 % 2 * 255);
    default:
      return Page(x, y, size);
  }
}

}  // namespace

std::vector<uint8_t> TestPicture(int which, int size) {
  std::vector<uint8_t> pixels;
  pixels.reserve(static_cast<size_t>(size) * size * 3);
  for (int y = 0; y < size; ++y) {
    for (int x = 0; x < size; ++x) {
      const Rgb pixel = Pixel(which, x, y, size);
      for (const int value : {pixel.r, pixel.g, pixel.b}) {
        pixels.push_back(static_cast<uint8_t>(std::clamp(value, 0, 255)));
      }
    }
  }
  return pixels;
}

}  // namespace cliptag
