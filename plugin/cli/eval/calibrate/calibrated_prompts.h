// A prompts file with new thresholds, everything else as it was.
#pragma once

#include <string>
#include <vector>

#include "kernels/base/status.h"
#include "models/prompts/prompts.h"
#include "plugin/cli/eval/calibrate/calibrate.h"

namespace cliptag {

// What can be told of writing there before the footage has been looked at.
Status CheckCalibratedOutput(const PromptSpec& spec, const std::string& output);

// Writes JSON with what `source` named and `spec` was read from: keys keep their order and values,
// labels of a plain list become tags, --templates and --background are put in where the file has
// none of its own. Pictures with relative paths are named by absolute ones where the new file lies
// in another folder. A tag that was not calibrated stays as it is. The file is replaced whole, so
// that an element which watches it never sees half of it.
Status WriteCalibratedPrompts(const PromptSource& source, const PromptSpec& spec,
                              const std::vector<Calibration>& calibrations,
                              const std::string& output);

}  // namespace cliptag
