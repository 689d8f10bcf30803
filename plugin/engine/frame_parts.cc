#include "plugin/engine/frame_parts.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace cliptag {
namespace {

constexpr double kOwn = 0.75;  // of a tile's side, to its neighbour's beginning

// Where `count` tiles of that side begin, evenly spread.
int Begin(int first, int length, int side, int index, int count) {
  if (count == 1) return first + (length - side) / 2;
  return first + static_cast<int>(int64_t{length - side} * index / (count - 1));
}

int CountAlong(int length, int side) {
  if (length <= side) return 1;
  const double step = std::max(1.0, kOwn * side);
  return 1 + static_cast<int>((length - side + step - 1e-9) / step);
}

// The number of pixels of `size` in `length`, of which the last may not be whole.
int PixelsIn(double length, int size, int most) {
  return static_cast<int>(std::clamp(std::ceil(length / size), 1.0, static_cast<double>(most)));
}

int64_t Area(const Rect& r) { return int64_t{r.width} * r.height; }

}  // namespace

Rect AreaOf(const FrameView& view) {
  return view.crop.width > 0 ? view.crop : Rect{0, 0, view.width, view.height};
}

Rect Intersection(const Rect& a, const Rect& b) {
  // In 64 bits: a detector's numbers may be anything.
  const int64_t left = std::max(a.x, b.x), top = std::max(a.y, b.y);
  const int64_t right = std::min(int64_t{a.x} + a.width, int64_t{b.x} + b.width);
  const int64_t bottom = std::min(int64_t{a.y} + a.height, int64_t{b.y} + b.height);
  if (right <= left || bottom <= top) return {};
  return {static_cast<int>(left), static_cast<int>(top), static_cast<int>(right - left),
          static_cast<int>(bottom - top)};
}

double Overlap(const Rect& a, const Rect& b) {
  const int64_t shared = Area(Intersection(a, b));
  const int64_t together = Area(a) + Area(b) - shared;
  return together > 0 ? static_cast<double>(shared) / together : 0.0;
}

std::vector<Rect> TilesOf(const Rect& area, int rows, PixelAspect pixel) {
  // Pixels are not made longer than that, and a damaged file must not ask for thousands of tiles.
  constexpr int kMostAspect = 16;
  if (pixel.width > kMostAspect * pixel.height || pixel.height > kMostAspect * pixel.width) {
    pixel = {};
  }
  const int64_t narrow =
      std::min(int64_t{area.width} * pixel.width, int64_t{area.height} * pixel.height);
  const double side = static_cast<double>(narrow) / (1 + (rows - 1) * kOwn);
  const int width = PixelsIn(side, pixel.width, area.width);
  const int height = PixelsIn(side, pixel.height, area.height);
  const int across = CountAlong(area.width, width), down = CountAlong(area.height, height);
  std::vector<Rect> tiles;
  tiles.reserve(static_cast<size_t>(across) * down);
  for (int row = 0; row < down; ++row) {
    for (int column = 0; column < across; ++column) {
      tiles.push_back({Begin(area.x, area.width, width, column, across),
                       Begin(area.y, area.height, height, row, down), width, height});
    }
  }
  return tiles;
}

Rect SquareAround(const Rect& object, const Rect& area, PixelAspect pixel) {
  const Rect inside = Intersection(object, area);
  if (inside.width == 0) return {};
  const auto side = static_cast<double>(
      std::max(int64_t{inside.width} * pixel.width, int64_t{inside.height} * pixel.height));
  Rect square;
  square.width = PixelsIn(side, pixel.width, area.width);
  square.height = PixelsIn(side, pixel.height, area.height);
  square.x = std::clamp(inside.x + (inside.width - square.width) / 2, area.x,
                        area.x + area.width - square.width);
  square.y = std::clamp(inside.y + (inside.height - square.height) / 2, area.y,
                        area.y + area.height - square.height);
  return square;
}

}  // namespace cliptag
