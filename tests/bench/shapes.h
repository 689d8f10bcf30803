// Image encoders that are measured without a file, with random weights.
//
// Ownership: a RandomEncoder owns its encoder, and borrows the backend. Thread safety: one thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "models/clip_model.h"
#include "models/encoders/blocks/workspace.h"

namespace cliptag::bench {

struct Shape {
  std::string name;
  int image = 224, patch = 32, width = 768, layers = 12, heads = 12, embed = 512;
  Activation activation = Activation::kQuickGelu;

  int grid() const { return image / patch; }
  int tokens() const { return grid() * grid() + 1; }
  int mlp() const { return 4 * width; }
};

// Null when no shape has that name.
const Shape* FindShape(const std::string& name);
// Multiply and add are two; as the encoder does them: the last block for the class token alone but
// for its keys and values.
double FlopsOf(const VitConfig& config, int embed);

ModelConfig ConfigOf(const Shape& shape);

class RandomEncoder {
 public:
  RandomEncoder(Backend& backend, const ModelConfig& config);
  ImageEncoder& encoder() { return *encoder_; }

 private:
  Workspace workspace_;
  std::unique_ptr<ImageEncoder> encoder_;
};

}  // namespace cliptag::bench
