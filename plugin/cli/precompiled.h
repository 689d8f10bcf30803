// CLI11 for the sources of the command line; see kernels/base/precompiled.h.
#pragma once

#include <CLI/CLI.hpp>
