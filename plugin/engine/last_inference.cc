#include "plugin/engine/last_inference.h"

#include <utility>

namespace cliptag {

std::vector<float> CosinesOf(const PromptBank& bank, std::span<const float> embeddings) {
  std::vector<float> cosines;
  const size_t dim = static_cast<size_t>(bank.dim);
  for (size_t first = 0; first + dim <= embeddings.size(); first += dim) {
    for (int row = 0; row < bank.row_count(); ++row) {
      const float* values = bank.row(row);
      float sum = 0;
      for (size_t i = 0; i < dim; ++i) sum += values[i] * embeddings[first + i];
      cosines.push_back(sum);
    }
  }
  return cosines;
}

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
