#include "plugin/engine/last_inference.h"

#include <utility>

namespace cliptag {

LastInference::Asked LastInference::AskedBy(const InferenceRequest& request) {
  const FrameView& frame = request.frame;
  return {request.fit,      request.tiles ? request.tile_rows : 0,
          frame.width,      frame.height,
          frame.crop,       frame.pixel,
          frame.orientation};
}

void LastInference::Begin(const InferenceRequest& request) { asked_ = AskedBy(request); }

bool LastInference::StandsFor(const InferenceRequest& request) const {
  return request.regions != Regions::kObjects && asked_ == AskedBy(request);
}

void LastInference::Keep(std::vector<Rect> pictures, std::vector<float> embeddings,
                         std::shared_ptr<const PromptBank> bank, std::vector<float> cosines) {
  pictures_ = std::move(pictures);
  embeddings_ = std::move(embeddings);
  bank_ = std::move(bank);
  cosines_ = std::move(cosines);
}

std::span<const float> LastInference::CosinesWith(const std::shared_ptr<const PromptBank>& bank) {
  if (bank_ != bank) {
    cosines_ = CosinesOf(*bank, embeddings_);
    bank_ = bank;
  }
  return cosines_;
}

}  // namespace cliptag
