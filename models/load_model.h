// A model on the backend that the user's options choose, ready to run.
//
// Thread safety: any thread; the result as ClipModel says.
#pragma once

#include <memory>
#include <string>

#include "kernels/base/function_ref.h"
#include "models/clip_model.h"

namespace cliptag {

// In this order: the model goes before its backend.
struct LoadedModel {
  std::unique_ptr<Backend> backend;
  std::unique_ptr<ClipModel> model;
};

// Creates the backend (with Precision::kAuto: in the fastest precision that is proven for this
// model, see models/auto_precision.h), loads the model and calls `prepare` (which sizes and checks
// it). Where `options` leave the choice of the backend open and a GPU fails at any of this, out of
// memory most often, it is all done on the CPU instead, with one warning.
Result<LoadedModel> LoadModel(const std::string& directory, const BackendOptions& options,
                              FunctionRef<Status(ClipModel&)> prepare);

}  // namespace cliptag
