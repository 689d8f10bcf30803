// MobileCLIP's FastViT on a Backend; see encoders/blocks/encoder.h. A stem of three
// convolutions, stages of blocks that mix pixels by a depthwise convolution (RepMixer) or, in the
// last ones, by attention, and channels by a depthwise convolution and two of a pixel; then a last
// depthwise convolution, gates of its channels, and the mean of the picture. Branches, batch norms
// and layer scales are folded into the convolutions in double precision when it is loaded.
//
// Pictures go through the stages without attention a few at a time: their maps are large (a block's
// middle at 64x64x240 is 2 MB in bf16), and a batch's would come from memory instead of a cache,
// while so many pixels feed the products as it is. Attention's stages see the whole batch, since
// there weights are many and pixels few.
#pragma once

#include <memory>

#include "models/encoders/blocks/encoder.h"
#include "models/encoders/blocks/workspace.h"
#include "models/encoders/convolutional/fastvit_tensors.h"

namespace cliptag {

// Packs the tower. `workspace` is shared with the text tower and outlives the encoder.
Result<std::unique_ptr<ImageEncoder>> LoadEncoder(Backend& backend, Workspace& workspace,
                                                  const ModelConfig& config,
                                                  const FastVitTensors& tensors);

}  // namespace cliptag
