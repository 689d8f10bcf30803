// Where models lie: names are looked up in $CLIPTAG_MODEL_PATH, the user's cache, the installed
// models, and for what is run from the build folder in the source tree. Thread safety: any thread.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "kernels/base/status.h"

namespace cliptag {

// The directory a `model` value stands for: a path when it has a slash (and then it may be a file
// of weights as well), else a name looked up in $CLIPTAG_MODEL_PATH, the user's cache, the
// installed models. The error lists where it looked.
Result<std::string> FindModel(const std::string& name_or_path);

// Every model that FindModel would find by name: (name, directory).
std::vector<std::pair<std::string, std::string>> ListModels();

}  // namespace cliptag
