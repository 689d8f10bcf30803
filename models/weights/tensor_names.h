// What the names of a file's tensors tell: what was put around a model before it was saved, and
// which tensors no embedding needs. Thread safe: pure functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "kernels/base/status.h"

namespace cliptag {

// Without what wrappers put into names, wherever it stands: "module." (DataParallel), "_orig_mod."
// (torch.compile) and their like.
std::string Unwrapped(std::string_view name);

// Where the models in a file begin: what stands in front of an image tower's first tensor, "" for
// a bare model, "model.", "base_model.model.". Sorted, each once; empty where no tower is.
std::vector<std::string> ModelPrefixes(const std::vector<std::string>& names);

// Known to mean nothing for embeddings: masks and positions that follow from the configuration,
// counters of trainings, CoCa's text decoder, an optimizer's state. `name` is without a prefix.
bool IsHarmless(std::string_view name);

}  // namespace cliptag
