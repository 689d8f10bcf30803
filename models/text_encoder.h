// The text tower on a Backend; see TextEncoder in models/clip_model.h.
#pragma once

#include <memory>

#include "models/clip_model.h"
#include "models/clip_tensors.h"
#include "models/workspace.h"

namespace cliptag {

// Packs the tower and sizes `workspace`, which is shared with the image tower and outlives the
// encoder.
Result<std::unique_ptr<TextEncoder>> LoadTextEncoder(Backend& backend, Workspace& workspace,
                                                     const ModelConfig& config,
                                                     const TextTensors& tensors);

}  // namespace cliptag
