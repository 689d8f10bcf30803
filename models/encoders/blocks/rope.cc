#include "models/encoders/blocks/rope.h"

#include <cmath>

namespace cliptag {

std::vector<float> RopeAngles(const VitConfig& vit) {
  constexpr double kSlowest = 10000;  // the last frequency is the first divided by nearly this
  const int side = vit.grid();
  const int pairs = vit.transformer.head_dim() / 2, bands = pairs / 2;
  std::vector<float> angles;
  angles.reserve(static_cast<size_t>(vit.tokens()) * pairs * 2);
  const auto add = [&](double angle) {
    angles.push_back(static_cast<float>(std::cos(angle)));
    angles.push_back(static_cast<float>(std::sin(angle)));
  };
  for (int i = 0; vit.class_token && i < pairs; ++i) add(0);
  for (int patch = 0; patch < vit.patches(); ++patch) {
    for (const int place : {patch / side, patch % side}) {
      const double at = static_cast<double>(place) / side * vit.rope_reference;
      for (int i = 0; i < bands; ++i) add(at * std::pow(kSlowest, -double(i) / bands));
    }
  }
  return angles;
}

}  // namespace cliptag
