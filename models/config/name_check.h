// Whether a model's files contradict what its name says. Published CLIPs differ in their activation
// and in how pictures are prepared, configurations are copied from one to another by hand, and a
// model with the wrong one still runs: its tags are merely worse.
//
// Thread safety: a pure function.
#pragma once

#include <string>
#include <vector>

#include "models/config/config.h"

namespace cliptag {

// One sentence for each contradiction; none for a name that says nothing.
std::vector<std::string> NameContradictions(const ModelConfig& config);

}  // namespace cliptag
