// The five image encoders that are measured, with random weights: no file is needed.
//
// Ownership: a RandomEncoder owns its weights until they are packed, and its encoder. Thread
// safety: one thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "models/encoders/image_encoder.h"

namespace cliptag::bench {

struct Shape {
  std::string name;
  int image = 224, patch = 32, width = 768, layers = 12, heads = 12, embed = 512;
  Activation activation = Activation::kQuickGelu;

  int tokens() const { return (image / patch) * (image / patch) + 1; }
  int mlp() const { return 4 * width; }
};

// bench_torch.py has the same ones. `small`: one that is tiny.
std::vector<Shape> Shapes(bool small);
Shape ShapeNamed(const std::string& name);

// Operations (multiply and add are two) of one picture, as the encoder does them: the last block is
// for the class token alone but for its keys and values.
double FlopsOf(const Shape& shape);

class RandomEncoder {
 public:
  RandomEncoder(Backend& backend, const Shape& shape);
  ImageEncoder& encoder() { return *encoder_; }
  const ModelConfig& config() const { return config_; }

 private:
  ModelConfig config_;
  Workspace workspace_;
  std::unique_ptr<ImageEncoder> encoder_;
};

}  // namespace cliptag::bench
