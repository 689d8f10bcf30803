// A figure of what `cliptag eval` has found: accuracy of each class and what is taken for what, and
// where there are any, curves over strengths of corruption and over shots of the probe.
//
// Drawn with Cairo and Pango; a build without them says so. Thread safety: one thread.
#pragma once

#include <string>

#include "kernels/base/status.h"
#include "plugin/cli/eval/measures/result.h"

namespace cliptag {

// Whether a figure can be written under that name: it ends in .png or .svg, and its folder exists.
Status CheckPlot(const std::string& path);

// `result` has a zero_shot.
Status WritePlot(const std::string& path, const EvalResult& result);

}  // namespace cliptag
