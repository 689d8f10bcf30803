// The text tower on a Backend; see encoders/blocks/encoder.h.
#pragma once

#include <memory>

#include "models/encoders/blocks/encoder.h"
#include "models/encoders/blocks/workspace.h"
#include "models/encoders/clip_tensors.h"

namespace cliptag {

// Packs the tower and sizes `workspace`, which is shared with the image tower and outlives the
// encoder.
Result<std::unique_ptr<TextEncoder>> LoadTextEncoder(Backend& backend, Workspace& workspace,
                                                     const ModelConfig& config,
                                                     const TextTensors& tensors);

}  // namespace cliptag
