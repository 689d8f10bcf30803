// CLIP's modified ResNet on a Backend; see encoders/blocks/encoder.h. Three convolutions
// and an average in front, bottlenecks that average before they stride (in the shortcut, too), and
// in place of a mean over the picture an attention of that mean to the picture's places. Batch
// norms are folded into the convolutions in double precision when it is loaded.
#pragma once

#include <memory>

#include "models/encoders/blocks/encoder.h"
#include "models/encoders/blocks/workspace.h"
#include "models/encoders/convolutional/resnet_tensors.h"

namespace cliptag {

// Packs the tower. `workspace` is shared with the text tower and outlives the encoder.
Result<std::unique_ptr<ImageEncoder>> LoadEncoder(Backend& backend, Workspace& workspace,
                                                  const ModelConfig& config,
                                                  const ResNetTensors& tensors);

}  // namespace cliptag
