// A part of a frame that a detector has found, and which is which from frame to frame.
//
// Thread safety: pure functions.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/frame.h"

namespace cliptag {

struct ObjectRegion {
  Rect rect;        // pixels of the frame as it is stored; what lies outside of it is cut off
  int64_t id = -1;  // -1 = none
  // A tracker has given the id: the object keeps it. Else it is the detector's, which may number
  // each detection anew.
  bool tracked = false;
  // It has been seen with this id before, as what writes tracks into ids of regions leaves it.
  bool persists = false;

  bool operator==(const ObjectRegion&) const = default;
};

// For each of `now` which of `before` it is, or -1; no two get the same one. A tracker's id decides
// where both have one. Else the overlap does, and the same id beside it: it tells which of two that
// overlap is meant, and finds again what has moved away from where it was. A number that is new
// where another one of the detector's has persisted is another object.
std::vector<int> MatchRegions(std::span<const ObjectRegion> now,
                              std::span<const ObjectRegion> before);

}  // namespace cliptag
