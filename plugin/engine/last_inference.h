// What the last inference of a stream's whole frame gave, for the frames after it that show the
// same: they are not encoded, but time goes on, and prompts and thresholds may change.
//
// Begin() and StandsFor() are asked in the order of the frames, and so is the rest, later: a frame
// may be planned before the one in front of it has been encoded. Used by one thread at a time.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "plugin/engine/engine.h"

namespace cliptag {

class LastInference {
 public:
  // This frame will be encoded.
  void Begin(const InferenceRequest& request);
  // Whether the frame of the last Begin() is encoded in the way that this request asks for.
  bool StandsFor(const InferenceRequest& request) const;

  // Embeddings: (pictures, dim); with a bank its cosines: (pictures, rows).
  void Keep(std::vector<Rect> pictures, std::vector<float> embeddings,
            std::shared_ptr<const PromptBank> bank, std::vector<float> cosines);
  const std::vector<Rect>& pictures() const { return pictures_; }  // empty: there is nothing
  const std::vector<float>& embeddings() const { return embeddings_; }
  std::span<const float> CosinesWith(const std::shared_ptr<const PromptBank>& bank);

  void Reset() { *this = LastInference(); }

 private:
  // What decides which parts of the frame are encoded.
  struct Asked {
    Fit fit;
    int tile_rows;  // 0 = no tiles
    int width, height;
    Rect crop;
    PixelAspect pixel;
    Orientation orientation;
    bool operator==(const Asked&) const = default;
  };
  static Asked AskedBy(const InferenceRequest& request);

  std::optional<Asked> asked_;
  std::vector<Rect> pictures_;
  std::vector<float> embeddings_;
  std::shared_ptr<const PromptBank> bank_;
  std::vector<float> cosines_;  // with bank_
};

}  // namespace cliptag
