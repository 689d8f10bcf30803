// CLI11 for the sources of the command line; see kernels/base/precompiled.h.
#include <CLI/CLI.hpp>
