// Thresholds for tags from labelled footage, written into a prompts file: `cliptag eval
// --calibrate`. One thread.
#pragma once

#include <string>

#include "kernels/base/status.h"
#include "models/prompts/prompts.h"
#include "plugin/cli/eval/calibrate/calibrate.h"
#include "plugin/cli/options.h"

namespace cliptag {

struct CalibrateOptions {
  ModelOptions model;
  InputOptions input;  // its files are the dataset's
  PromptSource prompts;
  std::string dataset, labels;
  bool json = false;
  CalibrationGoal goal;
  std::string output;
};

// Scores the footage, writes `options.output` and prints what was found. Files that cannot be read
// are told on stderr and set `bad_files`; the others count.
Status CalibrateThresholds(const CalibrateOptions& options, bool* bad_files);

}  // namespace cliptag
