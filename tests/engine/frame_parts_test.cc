// Tiles cover the frame, overlap, and stay inside; squares keep their object.
#include "plugin/engine/frame_parts.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace cliptag {
namespace {

bool Contains(const Rect& outer, const Rect& inner) { return Intersection(outer, inner) == inner; }

TEST(Tiles, CoverEveryPixelAndOverlapByAQuarter) {
  for (const auto& [width, height] : {std::pair{1280, 720},
                                      {1920, 1080},
                                      {640, 480},
                                      {720, 1280},
                                      {100, 100},
                                      {3, 1},
                                      {1, 1},
                                      {4000, 10},
                                      {257, 255}}) {
    for (int rows = 1; rows <= 8; ++rows) {
      SCOPED_TRACE(std::to_string(width) + "x" + std::to_string(height) + " in " +
                   std::to_string(rows));
      const Rect area{5, 7, width, height};
      const std::vector<Rect> tiles = TilesOf(area, rows);
      ASSERT_FALSE(tiles.empty());
      const int side = tiles[0].width;
      std::vector<int> columns, lines;
      for (const Rect& tile : tiles) {
        EXPECT_EQ(tile.width, side);
        EXPECT_EQ(tile.height, side);
        EXPECT_TRUE(Contains(area, tile));
        columns.push_back(tile.x);
        lines.push_back(tile.y);
      }
      for (auto* begins : {&columns, &lines}) {
        std::sort(begins->begin(), begins->end());
        begins->erase(std::unique(begins->begin(), begins->end()), begins->end());
        for (size_t i = 1; i < begins->size(); ++i)
          EXPECT_LE((*begins)[i] - (*begins)[i - 1], std::max(1, side * 3 / 4 + 1));
      }
      EXPECT_EQ(columns.front(), area.x);
      EXPECT_EQ(lines.front(), area.y);
      EXPECT_EQ(columns.back() + side, area.x + area.width);
      EXPECT_EQ(lines.back() + side, area.y + area.height);
    }
  }
}

TEST(Tiles, OfAWideFrameAreAsManyAsDocumented) {
  EXPECT_EQ(TilesOf({0, 0, 1280, 720}, 1).size(), 3u);
  EXPECT_EQ(TilesOf({0, 0, 1280, 720}, 2).size(), 8u);
}

TEST(Tiles, AreSquareAsTheFrameIsSeen) {
  // 720x576 of 64:45 is seen as 1024x576, 1440x1080 of 4:3 as 1920x1080, and 960x1080 of 2:1 too.
  for (const auto& [width, height, pixel] : {std::tuple{720, 576, PixelAspect{64, 45}},
                                             {1440, 1080, PixelAspect{4, 3}},
                                             {960, 1080, PixelAspect{2, 1}},
                                             {1920, 540, PixelAspect{1, 2}}}) {
    for (int rows = 1; rows <= 4; ++rows) {
      const Rect area{3, 5, width, height};
      const std::vector<Rect> tiles = TilesOf(area, rows, pixel);
      const int seen_width = height == 576 ? 1024 : 1920, seen_height = height == 576 ? 576 : 1080;
      EXPECT_EQ(tiles.size(), TilesOf({0, 0, seen_width, seen_height}, rows).size())
          << width << " in " << rows;
      for (const Rect& tile : tiles) {
        EXPECT_TRUE(Contains(area, tile));
        EXPECT_NEAR(tile.width * pixel.width, tile.height * pixel.height,
                    pixel.width + pixel.height);
      }
      EXPECT_EQ(tiles.front().x, area.x);
      EXPECT_EQ(tiles.back().x + tiles.back().width, area.x + area.width);
      EXPECT_EQ(tiles.back().y + tiles.back().height, area.y + area.height);
    }
  }
  for (const PixelAspect pixel : {PixelAspect{65535, 1}, {1, 65535}}) {
    const std::vector<Rect> tiles = TilesOf({0, 0, 640, 480}, 2, pixel);
    EXPECT_EQ(tiles.size(), TilesOf({0, 0, 640, 480}, 2).size()) << "no pixels, but a damaged file";
    for (const Rect& tile : tiles) EXPECT_TRUE(Contains({0, 0, 640, 480}, tile));
  }
}

TEST(Square, IsSquareAsTheFrameIsSeen) {
  const Rect area{0, 0, 100, 80};
  EXPECT_EQ(SquareAround({40, 20, 10, 30}, area, {2, 1}), (Rect{38, 20, 15, 30}));
  EXPECT_EQ(SquareAround({40, 20, 20, 20}, area, {2, 1}), (Rect{40, 10, 20, 40}));
  EXPECT_EQ(SquareAround({40, 20, 10, 30}, area, {1, 2}), (Rect{15, 20, 60, 30}));
  EXPECT_EQ(SquareAround({40, 20, 10, 30}, area, {1, 65535}), (Rect{0, 20, 100, 30}));
}

TEST(Square, HoldsItsObjectAndStaysInside) {
  const Rect area{0, 0, 100, 80};
  EXPECT_EQ(SquareAround({40, 20, 10, 30}, area), (Rect{30, 20, 30, 30}));
  EXPECT_EQ(SquareAround({0, 20, 10, 30}, area), (Rect{0, 20, 30, 30})) << "moved in";
  EXPECT_EQ(SquareAround({95, 75, 10, 10}, area), (Rect{95, 75, 5, 5})) << "what lies inside";
  EXPECT_EQ(SquareAround({0, 10, 100, 5}, area), (Rect{0, 0, 100, 80})) << "cut to the area";
  EXPECT_EQ(SquareAround({200, 10, 10, 5}, area).width, 0);
  EXPECT_EQ(SquareAround({10, 10, 0, 5}, area).width, 0);
  EXPECT_EQ(SquareAround({-2147483647, -2147483647, 2147483647, 2147483647}, area).width, 0);
  for (int x = -20; x < 110; x += 7) {
    for (int w = 1; w < 90; w += 11) {
      const Rect object{x, 33, w, 20}, inside = Intersection(object, area);
      if (inside.width == 0) continue;
      const Rect square = SquareAround(object, area);
      EXPECT_TRUE(Contains(square, inside)) << x << " " << w;
      EXPECT_TRUE(Contains(area, square)) << x << " " << w;
    }
  }
}

TEST(Overlap, IsSharedOverTogether) {
  EXPECT_DOUBLE_EQ(Overlap({0, 0, 10, 10}, {0, 0, 10, 10}), 1);
  EXPECT_DOUBLE_EQ(Overlap({0, 0, 10, 10}, {5, 0, 10, 10}), 50.0 / 150);
  EXPECT_DOUBLE_EQ(Overlap({0, 0, 10, 10}, {10, 0, 10, 10}), 0);
  EXPECT_DOUBLE_EQ(Overlap({}, {}), 0);
}

TEST(Area, IsTheCropOrAll) {
  FrameView view;
  view.width = 20;
  view.height = 10;
  EXPECT_EQ(AreaOf(view), (Rect{0, 0, 20, 10}));
  view.crop = {1, 2, 3, 4};
  EXPECT_EQ(AreaOf(view), (Rect{1, 2, 3, 4}));
}

}  // namespace
}  // namespace cliptag
