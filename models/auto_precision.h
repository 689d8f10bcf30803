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

// The least cosine of a test picture's embeddings in both precisions. What is wanted is 0.999 on a
// user's pictures. Those are more than the test pictures, and the worst of many is worse than the
// worst of few: on eleven models, 1 - cosine of the worst of 688 pictures was 0.8 to 3.1 times that
// of the worst test picture. So a third of that 0.001 is allowed, and a little less.
constexpr double kLeastCosine = 0.9997;

// A backend of the quicker precision that `usual` names, where it is right for the model in that
// directory; else `usual` itself, which was made from `options`. One info line says which, and why.
// Whatever goes wrong with the trial leaves it at `usual`; a model that cannot be read is for
// whoever loads it to report. ResNets, which are as quick in either, are not tried.
std::unique_ptr<Backend> FastestBackend(const std::string& directory, const BackendOptions& options,
                                        std::unique_ptr<Backend> usual);

}  // namespace cliptag
