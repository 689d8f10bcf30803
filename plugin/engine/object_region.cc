#include "plugin/engine/object_region.h"

#include <algorithm>

#include "plugin/engine/frame_parts.h"

namespace cliptag {
namespace {

// Overlap from which on two regions count as one object by their place: what trackers take.
constexpr double kSamePlace = 0.3;
constexpr double kSameId = 0.5;  // what the same number is worth beside it

// 0 = another object. `is_new`: nothing before had the id of `now`.
double Likeness(const ObjectRegion& now, const ObjectRegion& before, bool is_new) {
  const bool same_id = now.id >= 0 && now.id == before.id && now.tracked == before.tracked;
  const double overlap = Overlap(now.rect, before.rect);
  if (now.tracked && before.tracked) return same_id ? 2 + overlap : 0;
  if (same_id) return kSameId + overlap;
  if (is_new && before.persists && !before.tracked && !now.tracked) return 0;
  return overlap >= kSamePlace ? overlap : 0;
}

}  // namespace

std::vector<int> MatchRegions(std::span<const ObjectRegion> now,
                              std::span<const ObjectRegion> before) {
  struct Pair {
    double likeness;
    size_t now, before;
  };
  std::vector<Pair> pairs;
  for (size_t i = 0; i < now.size(); ++i) {
    const bool is_new =
        now[i].id >= 0 && std::none_of(before.begin(), before.end(), [&](const ObjectRegion& b) {
          return b.id == now[i].id && b.tracked == now[i].tracked;
        });
    for (size_t j = 0; j < before.size(); ++j) {
      const double likeness = Likeness(now[i], before[j], is_new);
      if (likeness > 0) pairs.push_back({likeness, i, j});
    }
  }
  // The best first; among equals in the order in which they were given.
  std::stable_sort(pairs.begin(), pairs.end(),
                   [](const Pair& a, const Pair& b) { return a.likeness > b.likeness; });
  std::vector<int> matches(now.size(), -1);
  std::vector<bool> taken(before.size());
  for (const Pair& pair : pairs) {
    if (matches[pair.now] >= 0 || taken[pair.before]) continue;
    matches[pair.now] = static_cast<int>(pair.before);
    taken[pair.before] = true;
  }
  return matches;
}

}  // namespace cliptag
