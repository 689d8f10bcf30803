// A vision transformer on a Backend: CLIP's ViT, EVA's, SigLIP's and CoCa's. See
// encoders/blocks/encoder.h.
#pragma once

#include <memory>

#include "models/encoders/blocks/encoder.h"
#include "models/encoders/blocks/workspace.h"
#include "models/encoders/clip_tensors.h"

namespace cliptag {

// Packs the tower. `workspace` is shared with the text tower and outlives the encoder.
Result<std::unique_ptr<ImageEncoder>> LoadEncoder(Backend& backend, Workspace& workspace,
                                                  const ModelConfig& config,
                                                  const VitTensors& tensors);

}  // namespace cliptag
