// The angles of rotary position embeddings: EVA02 rotates queries and keys by them (Backend::Rope),
// so that a score depends on how far apart two patches lie.
//
// Thread safety: a pure function.
#pragma once

#include <vector>

#include "models/config/config.h"

namespace cliptag {

// (tokens, head_dim): cos and sin of each pair of a head's columns. The class token is not turned.
std::vector<float> RopeAngles(const VitConfig& vit);

}  // namespace cliptag
