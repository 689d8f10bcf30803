// What the subcommands share of the command line, as values: the options that choose a model, the
// files that are read, and the prompts. CLI11 stays out of this header (command_line.h has it): it
// costs seconds in every file.
#pragma once

#include <string>
#include <vector>

#include "kernels/backend.h"

namespace cliptag {

struct ModelOptions {
  std::string model = "starter";
  BackendKind backend = BackendKind::kAuto;
  Precision precision = Precision::kAuto;
  int threads = 0;
};

struct InputOptions {
  std::vector<std::string> files;  // as given; CollectInputFiles makes files of them
  bool recursive = false;
  std::string files_from;  // "-": standard input
  double fps = 1;
  int batch = 8;
};

}  // namespace cliptag
