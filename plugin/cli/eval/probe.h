// The linear probe of `cliptag eval`: learnt on one dataset, tried on another.
//
// Thread safety: one thread.
#pragma once

#include <span>
#include <vector>

#include "plugin/cli/eval/measures/result.h"

namespace cliptag {

// Both with the same classes, and at least a picture to learn from in each. `class_rows` are what
// the names say, (classes, dim), and `logit_scale` how sure the model is of that. A draw of each
// number of shots for every seed from `seed` on, and all pictures in the end.
ProbeResult EvaluateProbe(const LabelledEmbeddings& train, const LabelledEmbeddings& test,
                          std::span<const float> class_rows, double logit_scale,
                          const ProbeOptions& options, uint64_t seed);

}  // namespace cliptag
