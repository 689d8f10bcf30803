// The enum types of properties. Their values are those of the enums of settings and core.
#pragma once

#include <glib-object.h>

namespace cliptag {

// A value of the property `fit` that is not one of Fit.
inline constexpr int kFitTiles = 100;
// A value of the property `orientation` that is not one of Orientation.
inline constexpr int kOrientationAuto = -1;

template <typename E>
constexpr int Int(E value) {
  return static_cast<int>(value);
}

GType BackendType();
GType PrecisionType();
GType ScoringType();
GType FitType();
GType RegionsType();
GType OrientationType();
GType ModeType();

}  // namespace cliptag
