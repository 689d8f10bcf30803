#include "models/encoders/convolutional/fastvit_tensors.h"

#include <algorithm>
#include <string>
#include <utility>

namespace cliptag {
namespace {

constexpr int kMixerWindow = 3, kMlpWindow = 7, kLargeWindow = 7, kSmallWindow = 3;

// The weight of one of a convolution's branches, with a window of `edge`.
HostTensor ReadWeight(TensorReader* reader, const std::string& name, const BranchedConvolution& c,
                      int64_t edge) {
  return reader->Get(name + ".weight", {c.out, c.in / c.groups, edge, edge});
}

// timm's ConvNormAct.
ConvolutionBranch ReadNormed(TensorReader* reader, const std::string& name,
                             const BranchedConvolution& c, int64_t edge) {
  return {ReadWeight(reader, name + ".conv", c, edge), {}, reader->BatchNorm(name + ".bn", c.out)};
}

BranchedConvolution ReadPlain(TensorReader* reader, const std::string& name,
                              BranchedConvolution c) {
  c.branches = {{ReadWeight(reader, name, c, c.kernel), reader->Get(name + ".bias", {c.out})}};
  return c;
}

// Whether a file has `name` already as one convolution.
bool IsWhole(const TensorReader& reader, const std::string& name) {
  return reader.Has(name + ".reparam_conv.weight");
}

// timm's MobileOneBlock: a window, a pixel where the window is larger (`scale`), and where input
// and output are alike the input itself, each with a norm of its own.
BranchedConvolution ReadMobileOne(TensorReader* reader, const std::string& name,
                                  BranchedConvolution c, bool strides, bool scale = true) {
  if (IsWhole(*reader, name)) return ReadPlain(reader, name + ".reparam_conv", std::move(c));
  c.branches = {ReadNormed(reader, name + ".conv_kxk.0", c, c.kernel)};
  if (c.kernel > 1 && scale) c.branches.push_back(ReadNormed(reader, name + ".conv_scale", c, 1));
  if (c.in == c.out && !strides) {
    c.branches.push_back({{}, {}, reader->BatchNorm(name + ".identity", c.out)});
  }
  return c;
}

// timm's ReparamLargeKernelConv.
BranchedConvolution ReadLarge(TensorReader* reader, const std::string& name,
                              BranchedConvolution c) {
  if (IsWhole(*reader, name)) return ReadPlain(reader, name + ".reparam_conv", std::move(c));
  c.branches = {ReadNormed(reader, name + ".large_conv", c, kLargeWindow),
                ReadNormed(reader, name + ".small_conv", c, kSmallWindow)};
  return c;
}

// timm's RepMixer: x + scale * (mixer(x) - norm(x)).
BranchedConvolution ReadMixer(TensorReader* reader, const std::string& name, int64_t width) {
  BranchedConvolution c{width, width, kMixerWindow, static_cast<int>(width)};
  if (IsWhole(*reader, name)) return ReadPlain(reader, name + ".reparam_conv", std::move(c));
  c = ReadMobileOne(reader, name + ".mixer", std::move(c), /*strides=*/false);
  c.branches.push_back({{}, {}, reader->BatchNorm(name + ".norm.identity", width)});
  c.branches.back().negative = true;
  const HostTensor scale = reader->Get(name + ".layer_scale.gamma", {width, 1, 1});
  for (ConvolutionBranch& branch : c.branches) branch.scale = scale;
  c.branches.emplace_back();  // x
  return c;
}

// timm's RepConditionalPosEnc: x + convolution(x).
BranchedConvolution ReadPosition(TensorReader* reader, const std::string& name, int64_t width) {
  BranchedConvolution c{width, width, kMlpWindow, static_cast<int>(width)};
  if (IsWhole(*reader, name)) return ReadPlain(reader, name + ".reparam_conv", std::move(c));
  c = ReadPlain(reader, name + ".pos_enc", std::move(c));
  c.branches.emplace_back();
  return c;
}

// How narrow the middle is stands in the file alone.
SqueezeTensors ReadSqueeze(TensorReader* reader, const std::string& name, int64_t channels) {
  const std::vector<int64_t> shape = reader->Shape(name + ".fc1.weight");
  const int64_t middle = shape.empty() ? 1 : std::min(shape[0], channels);
  return {ReadPlain(reader, name + ".fc1", {middle, channels}),
          ReadPlain(reader, name + ".fc2", {channels, middle})};
}

FastVitBlockTensors ReadBlock(TensorReader* reader, const std::string& name,
                              const FastVitConfig& config, const FastVitConfig::Stage& stage) {
  const int64_t width = stage.width, middle = width * config.mlp_ratio;
  FastVitBlockTensors block;
  if (!stage.attention) {
    block.mixer = ReadMixer(reader, name + "token_mixer", width);
  } else {
    if (config.layer_norm) {
      block.layer_norm = reader->Norm(name + "norm", width);
    } else {
      block.batch_norm = reader->BatchNorm(name + "norm", width);
    }
    block.qkv = reader->Get(name + "token_mixer.qkv.weight", {3 * width, width});
    block.out = {width, width};
    block.out.branches = {{reader->Get(name + "token_mixer.proj.weight", {width, width}),
                           reader->Get(name + "token_mixer.proj.bias", {width})}};
    block.out.branches[0].weight.shape = {width, width, 1, 1};
    block.out.branches[0].scale = reader->Get(name + "layer_scale_1.gamma", {width, 1, 1});
  }
  block.depthwise = {width, width, kMlpWindow, static_cast<int>(width)};
  block.depthwise.branches = {ReadNormed(reader, name + "mlp.conv", block.depthwise, kMlpWindow)};
  block.fc1 = ReadPlain(reader, name + "mlp.fc1", {middle, width});
  block.fc2 = ReadPlain(reader, name + "mlp.fc2", {width, middle});
  block.fc2.branches[0].scale = reader->Get(
      name + (stage.attention ? "layer_scale_2.gamma" : "layer_scale.gamma"), {width, 1, 1});
  return block;
}

FastVitStageTensors ReadStage(TensorReader* reader, const std::string& name,
                              const FastVitConfig& config, const FastVitConfig::Stage& stage,
                              int64_t before) {
  const int64_t width = stage.width;
  FastVitStageTensors out;
  if (before > 0) {
    const std::string down = name + "downsample.proj.";
    out.large =
        ReadLarge(reader, down + "0", {width, before, kLargeWindow, static_cast<int>(before)});
    if (stage.squeeze) out.squeeze = ReadSqueeze(reader, down + "0.se", width);
    out.point = ReadMobileOne(reader, down + "1", {width, width}, /*strides=*/false);
  }
  if (stage.attention) out.position = ReadPosition(reader, name + "pos_emb", width);
  for (int i = 0; i < stage.layers && reader->status().ok(); ++i) {
    out.blocks.push_back(
        ReadBlock(reader, name + "blocks." + std::to_string(i) + ".", config, stage));
  }
  return out;
}

}  // namespace

Result<FastVitTensors> GetTensors(const Weights& weights, const ModelConfig& config,
                                  const FastVitConfig& fast) {
  TensorReader reader(weights, "visual.trunk.");
  FastVitTensors out;
  const int64_t first = fast.stages.front().width, last = fast.stages.back().width;
  const int64_t features = fast.features();
  out.stem[0] = ReadMobileOne(&reader, "stem.0", {first, 3, 3}, /*strides=*/true, fast.stem_scale);
  out.stem[1] = ReadMobileOne(&reader, "stem.1", {first, first, 3, static_cast<int>(first)},
                              /*strides=*/true, fast.stem_scale);
  out.stem[2] = ReadMobileOne(&reader, "stem.2", {first, first}, /*strides=*/false);
  int64_t before = 0;
  for (size_t i = 0; i < fast.stages.size(); ++i) {
    out.stages.push_back(
        ReadStage(&reader, "stages." + std::to_string(i) + ".", fast, fast.stages[i], before));
    before = fast.stages[i].width;
  }
  out.last = ReadMobileOne(&reader, "final_conv", {features, last, 3, static_cast<int>(last)},
                           /*strides=*/false);
  out.last_squeeze = ReadSqueeze(&reader, "final_conv.se", features);
  reader.Linear("head.fc", config.embed_dim, features, &out.head, &out.head_bias);
  CLIPTAG_RETURN_IF_ERROR(reader.status());
  return out;
}

}  // namespace cliptag
