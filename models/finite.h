// Whether numbers are numbers. Thread safe: a pure function.
#pragma once

#include <algorithm>
#include <cmath>
#include <span>

namespace cliptag {

// None is NaN or infinity.
inline bool AreFinite(std::span<const float> numbers) {
  return std::all_of(numbers.begin(), numbers.end(), [](float v) { return std::isfinite(v); });
}

}  // namespace cliptag
