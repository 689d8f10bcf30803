#include "models/encoders/image_encoder.h"

#include "models/encoders/convolutional/fastvit_encoder.h"
#include "models/encoders/convolutional/resnet_encoder.h"
#include "models/encoders/vit_encoder.h"

namespace cliptag {

Result<std::unique_ptr<ImageEncoder>> LoadImageEncoder(Backend& backend, Workspace& workspace,
                                                       const ModelConfig& config,
                                                       const VisionTensors& tensors) {
  if (config.vision.is_resnet()) {
    return LoadResNetEncoder(backend, workspace, config, tensors.resnet);
  }
  if (config.vision.is_fastvit()) {
    return LoadFastVitEncoder(backend, workspace, config, tensors.fastvit);
  }
  return LoadVitEncoder(backend, workspace, config, tensors);
}

}  // namespace cliptag
