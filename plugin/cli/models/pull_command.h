// cliptag models pull: a model from a hub.
#pragma once

#include <CLI/CLI.hpp>

#include "plugin/cli/options.h"

namespace cliptag {

void AddPullCommand(CLI::App& models, Command* chosen);

// "504 bytes", "12.3 kB", "94.2 MB".
std::string SizeText(int64_t bytes);

}  // namespace cliptag
