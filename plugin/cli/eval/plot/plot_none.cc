// Without Cairo and Pango.
#include "plugin/cli/eval/plot/plot.h"

namespace cliptag {

Status CheckPlot(const std::string& path) {
  return Unsupported("cannot draw '" + path +
                     "': this cliptag was built without Cairo and Pango (libpango1.0-dev); --json "
                     "has the numbers");
}

Status WritePlot(const std::string& path, const EvalResult&) { return CheckPlot(path); }

}  // namespace cliptag
