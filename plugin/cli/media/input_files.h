// The files that a command line names: one by one, in lists, and in folders.
#pragma once

#include <string>
#include <vector>

#include "kernels/base/status.h"
#include "plugin/cli/options.h"

namespace cliptag {

// In the order given: the words, folders among them opened up where `recursive` says so (by name,
// depth first), then the lines of the list. What lies beside pictures in a folder is left out with
// a note. An error where there is no file at all.
Result<std::vector<std::string>> CollectInputFiles(const InputOptions& options);

}  // namespace cliptag
