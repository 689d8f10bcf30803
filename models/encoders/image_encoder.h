// The image tower that a configuration describes, on a Backend; see encoders/blocks/encoder.h.
#pragma once

#include <memory>

#include "models/encoders/blocks/encoder.h"
#include "models/encoders/blocks/workspace.h"
#include "models/encoders/clip_tensors.h"

namespace cliptag {

// Packs the tower. `workspace` is shared with the text tower and outlives the encoder.
Result<std::unique_ptr<ImageEncoder>> LoadImageEncoder(Backend& backend, Workspace& workspace,
                                                       const ModelConfig& config,
                                                       const VisionTensors& tensors);

}  // namespace cliptag
