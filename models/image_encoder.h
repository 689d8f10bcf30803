// The image tower (a ViT) on a Backend; see ImageEncoder in models/clip_model.h.
#pragma once

#include <memory>

#include "models/clip_model.h"
#include "models/clip_tensors.h"
#include "models/workspace.h"

namespace cliptag {

// Packs the tower. `workspace` is shared with the text tower and outlives the encoder.
Result<std::unique_ptr<ImageEncoder>> LoadImageEncoder(Backend& backend, Workspace& workspace,
                                                       const ModelConfig& config,
                                                       const VisionTensors& tensors);

}  // namespace cliptag
