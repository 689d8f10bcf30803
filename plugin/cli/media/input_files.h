// The files that a command line names: one by one, in lists, and in folders.
#pragma once

#include <string>
#include <vector>

#include "kernels/base/status.h"
#include "plugin/cli/options.h"

namespace cliptag {

// In the order given: the arguments, with folders expanded if `recursive` (by name, depth first),
// then the lines of the list. Files of other kinds in a folder are left out with a note. No file at
// all is an error.
Result<std::vector<std::string>> CollectInputFiles(const InputOptions& options);

}  // namespace cliptag
