// precision=auto: the fastest precision that is right for a model.
//
// A backend's own choice is right for every model. Where it names a quicker one (BackendInfo), both
// encode the built-in test pictures, once for each model: the quicker is taken where no embedding
// turns by more than kLeastCosine says. What came of it is kept on disk
// (models/precision_trials.h), so that later starts take no longer than those with a precision that
// the user has named.
//
// Thread safety: any thread, also for one model at once.
#pragma once

#include <memory>
#include <string>

#include "kernels/backend.h"

namespace cliptag {

// That no picture's embedding in a quicker precision may have less of with the usual one's. 0.999
// is wanted on a user's pictures; the test pictures are few, so they leave a margin.
constexpr double kLeastCosine = 0.9993;

// A backend of the quicker precision that `usual` names, where it is right for the model in that
// directory; else `usual` itself, which was made from `options`. One info line says which, and why.
// Whatever goes wrong with the trial leaves it at `usual`; a model that cannot be read is for
// whoever loads it to report.
std::unique_ptr<Backend> FastestBackend(const std::string& directory, const BackendOptions& options,
                                        std::unique_ptr<Backend> usual);

}  // namespace cliptag
