// Parts of a frame that are encoded one by one: tiles, and squares around objects.
//
// Coordinates are pixels of the frame as it is stored. Where these are not square, `pixel` says so:
// a part that is a square on screen then has another width than height. Thread safety: pure
// functions.
#pragma once

#include <vector>

#include "kernels/frame.h"

namespace cliptag {

// The part of the frame that is used: the crop of the view, or all of it.
Rect AreaOf(const FrameView& view);

// What `a` and `b` share; of width 0 if nothing.
Rect Intersection(const Rect& a, const Rect& b);

// Their shared area as a share of what they cover together, 0..1.
double Overlap(const Rect& a, const Rect& b);

// Squares, as the frame is seen, that cover `area`, `rows` of them along its shorter side and as
// many along the longer one as it takes; neighbours share a quarter of their side or more, so that
// what lies on one's edge is whole in the next. Row by row.
std::vector<Rect> TilesOf(const Rect& area, int rows, PixelAspect pixel = {});

// The smallest square, as the frame is seen, around what of `object` lies in `area`, moved to where
// it fits in, and cut where the area is too narrow for it: an object keeps its proportions and some
// of its surroundings. Of width 0 if nothing of the object lies in the area.
Rect SquareAround(const Rect& object, const Rect& area, PixelAspect pixel = {});

}  // namespace cliptag
