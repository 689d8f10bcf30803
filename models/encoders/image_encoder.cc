#include "models/encoders/image_encoder.h"

#include "models/encoders/convolutional/fastvit_encoder.h"
#include "models/encoders/convolutional/resnet_encoder.h"
#include "models/encoders/vit_encoder.h"

namespace cliptag {

Result<std::unique_ptr<ImageEncoder>> LoadImageEncoder(Backend& backend, Workspace& workspace,
                                                       const ModelConfig& config,
                                                       const VisionTensors& tensors) {
  const auto load = [&](const auto& tower) {
    return LoadEncoder(backend, workspace, config, tower);
  };
  return std::visit(load, tensors);
}

}  // namespace cliptag
