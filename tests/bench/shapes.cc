#include "tests/bench/shapes.h"

#include <algorithm>
#include <cmath>

#include "models/encoders/image_encoder.h"
#include "tests/bench/bench.h"

namespace cliptag::bench {
namespace {

// Tensors of any size that all show the same numbers: a large tower has hundreds of megabytes.
class Pool {
 public:
  explicit Pool(const ModelConfig& config) {
    const VitConfig& v = std::get<VitConfig>(config.vision);
    const int width = v.transformer.width, mlp = v.transformer.mlp_width;
    const int widest = std::max({width, mlp, 3 * v.patch_size * v.patch_size, config.embed_dim});
    weights_ =
        RandomFloats(size_t{1} * width * widest, 1.0f / std::sqrt(static_cast<float>(width)));
    gains_.assign(static_cast<size_t>(width), 1.0f);
    offsets_ = RandomFloats(static_cast<size_t>(std::max(v.tokens() * width, mlp)), 0.1f);
  }

  HostTensor Weight(int64_t out, int64_t in) const {
    return {weights_.data(), DType::kF32, {out, in}};
  }
  HostTensor Offset(std::vector<int64_t> shape) const {
    return {offsets_.data(), DType::kF32, std::move(shape)};
  }
  NormTensors Norm(int64_t width) const {
    NormTensors norm;
    norm.gamma = {gains_.data(), DType::kF32, {width}};
    norm.beta = Offset({width});
    return norm;
  }

 private:
  std::vector<float> weights_, gains_, offsets_;
};

VitTensors TensorsOf(const ModelConfig& config, const Pool& pool) {
  const VitConfig& vision = std::get<VitConfig>(config.vision);
  const int64_t width = vision.transformer.width, mlp = vision.transformer.mlp_width;
  VitTensors t;
  t.patch = pool.Weight(width, int64_t{3} * vision.patch_size * vision.patch_size);
  t.class_token = pool.Offset({width});
  t.position = pool.Offset({vision.tokens(), width});
  t.pre_norm = t.post_norm = pool.Norm(width);
  t.projection.weight = pool.Weight(config.embed_dim, width);
  for (int i = 0; i < vision.transformer.layers; ++i) {
    BlockTensors b;
    b.norm1 = b.norm2 = pool.Norm(width);
    for (int j = 0; j < 3; ++j) {
      b.qkv[j] = pool.Weight(width, width);
      b.qkv_bias[j] = pool.Offset({width});
    }
    b.out = pool.Weight(width, width);
    b.fc1 = pool.Weight(mlp, width);
    b.fc2 = pool.Weight(width, mlp);
    b.out_bias = b.fc2_bias = pool.Offset({width});
    b.fc1_bias = pool.Offset({mlp});
    t.blocks.push_back(b);
  }
  return t;
}

}  // namespace

const Shape* FindShape(const std::string& name) {
  static const std::vector<Shape> shapes = {
      {"tiny", 32, 16, 64, 2, 1, 32, Activation::kGelu},
      {"ViT-B-32", 224, 32, 768, 12, 12, 512, Activation::kQuickGelu},
      {"ViT-B-16", 224, 16, 768, 12, 12, 512, Activation::kQuickGelu},
      {"ViT-L-14", 224, 14, 1024, 24, 16, 768, Activation::kQuickGelu},
      {"ViT-L-14-336", 336, 14, 1024, 24, 16, 768, Activation::kQuickGelu}};
  for (const Shape& shape : shapes) {
    if (shape.name == name) return &shape;
  }
  return nullptr;
}

double FlopsOf(const VitConfig& config, int embed) {
  const double t = config.tokens(), w = config.transformer.width, m = config.transformer.mlp_width;
  const double patches = 2 * (t - 1) * w * 3 * config.patch_size * config.patch_size;
  const double block = 2 * t * w * (4 * w + 2 * m) + 4 * t * t * w;
  const double last = 2 * t * w * 2 * w + 2 * w * (2 * w + 2 * m) + 4 * t * w;
  return patches + (config.transformer.layers - 1) * block + last + 2 * w * embed;
}

ModelConfig ConfigOf(const Shape& s) {
  ModelConfig config;
  config.name = s.name;
  config.embed_dim = s.embed;
  VitConfig& vit = std::get<VitConfig>(config.vision);
  vit.image_size = s.image;
  vit.patch_size = s.patch;
  TransformerConfig& transformer = vit.transformer;
  transformer.width = s.width;
  transformer.layers = s.layers;
  transformer.heads = s.heads;
  transformer.mlp_width = s.mlp();
  transformer.activation = s.activation;
  config.preprocess.size = s.image;
  config.preprocess.patch = s.patch;
  return config;
}

RandomEncoder::RandomEncoder(Backend& backend, const ModelConfig& config) : workspace_(backend) {
  const Pool pool(config);
  encoder_ = Check(LoadImageEncoder(backend, workspace_, config, TensorsOf(config, pool)));
  Check(backend.Sync());
}

}  // namespace cliptag::bench
