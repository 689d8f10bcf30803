#include "tests/gpu/bench/shapes.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "tests/gpu/bench/support.h"

namespace cliptag::bench {
namespace {

// Tensors of any size that all show the same numbers: H/14 has 632 million.
class Pool {
 public:
  Pool(const Shape& s, DType type)
      : type_(type),
        weights_(
            RandomHalves(size_t{1} * s.width * std::max({s.mlp(), 3 * s.patch * s.patch, s.embed}),
                         type, 0.5f / std::sqrt(static_cast<float>(s.width)))),
        gains_(RandomHalves(static_cast<size_t>(s.width), type, 0.1f, 1.0f)),
        offsets_(RandomHalves(static_cast<size_t>(std::max(s.tokens() * s.width, s.mlp())), type,
                              0.1f)) {}

  HostTensor Weight(int64_t out, int64_t in) const { return {weights_.data(), type_, {out, in}}; }
  HostTensor Offset(std::vector<int64_t> shape) const { return {offsets_.data(), type_, shape}; }
  NormTensors Norm(int64_t width) const {
    return {{gains_.data(), type_, {width}}, Offset({width})};
  }

 private:
  DType type_;
  std::vector<uint16_t> weights_, gains_, offsets_;
};

VitTensors Tensors(const Shape& s, const Pool& pool) {
  VitTensors t;
  t.patch = pool.Weight(s.width, int64_t{3} * s.patch * s.patch);
  t.class_token = pool.Offset({s.width});
  t.position = pool.Offset({s.tokens(), s.width});
  t.pre_norm = t.post_norm = pool.Norm(s.width);
  t.projection.weight = pool.Weight(s.embed, s.width);
  for (int i = 0; i < s.layers; ++i) {
    BlockTensors b;
    b.norm1 = b.norm2 = pool.Norm(s.width);
    for (int j = 0; j < 3; ++j) {
      b.qkv[j] = pool.Weight(s.width, s.width);
      b.qkv_bias[j] = pool.Offset({s.width});
    }
    b.out = pool.Weight(s.width, s.width);
    b.fc1 = pool.Weight(s.mlp(), s.width);
    b.fc2 = pool.Weight(s.width, s.mlp());
    b.out_bias = b.fc2_bias = pool.Offset({s.width});
    b.fc1_bias = pool.Offset({s.mlp()});
    t.blocks.push_back(b);
  }
  return t;
}

ModelConfig Config(const Shape& s) {
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
  for (int c = 0; c < 3; ++c) config.preprocess.mean[c] = 0.5f, config.preprocess.std[c] = 0.25f;
  return config;
}

}  // namespace

std::vector<Shape> Shapes(bool small) {
  if (small) return {{"tiny", 32, 16, 64, 2, 1, 64, Activation::kGelu}};
  return {{"ViT-B/32", 224, 32, 768, 12, 12, 512, Activation::kQuickGelu},
          {"ViT-B/16", 224, 16, 768, 12, 12, 512, Activation::kQuickGelu},
          {"ViT-L/14", 224, 14, 1024, 24, 16, 768, Activation::kQuickGelu},
          {"ViT-L/14-336", 336, 14, 1024, 24, 16, 768, Activation::kQuickGelu},
          {"ViT-H/14", 224, 14, 1280, 32, 16, 1024, Activation::kGelu}};
}

Shape ShapeNamed(const std::string& name) {
  for (const bool small : {false, true}) {
    for (const Shape& shape : Shapes(small)) {
      if (shape.name == name) return shape;
    }
  }
  std::fprintf(stderr, "No model is named %s.\n", name.c_str());
  std::exit(2);
}

double FlopsOf(const Shape& s) {
  const double t = s.tokens(), w = s.width, m = s.mlp();
  const double patches = 2 * (t - 1) * w * 3 * s.patch * s.patch;
  const double block = 2 * t * w * (4 * w + 2 * m) + 4 * t * t * w;
  const double last = 2 * t * w * 2 * w + 2 * w * (2 * w + 2 * m) + 4 * t * w;
  return patches + (s.layers - 1) * block + last + 2 * w * s.embed;
}

RandomEncoder::RandomEncoder(Backend& backend, const Shape& shape)
    : config_(Config(shape)), workspace_(backend) {
  const Pool pool(shape, backend.compute_type());
  encoder_ = Check(LoadImageEncoder(backend, workspace_, config_, Tensors(shape, pool)));
  Check(backend.Sync());
}

}  // namespace cliptag::bench
