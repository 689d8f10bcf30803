#include "models/clip_tensors.h"

#include <string>

namespace cliptag {
namespace {

// What the layouts call the parts of a block, after the block's own prefix.
struct BlockNames {
  const char *norm1, *norm2, *out, *fc1, *fc2;
};
constexpr BlockNames kOpenClipNames = {"ln_1", "ln_2", "attn.out_proj", "mlp.c_fc", "mlp.c_proj"};
constexpr BlockNames kHuggingFaceNames = {"layer_norm1", "layer_norm2", "self_attn.out_proj",
                                          "mlp.fc1", "mlp.fc2"};

class Reader {
 public:
  explicit Reader(const Weights& weights) : weights_(weights) {}

  // An empty tensor once something has failed.
  HostTensor Get(const std::string& name, std::vector<int64_t> shape) {
    if (!status_.ok()) return {};
    Result<HostTensor> tensor = weights_.Get(name, std::move(shape));
    if (!tensor.ok()) {
      status_ = tensor.status();
      return {};
    }
    return tensor.Take();
  }
  NormTensors Norm(const std::string& name, int64_t width) {
    return {Get(name + ".weight", {width}), Get(name + ".bias", {width})};
  }
  const Status& status() const { return status_; }

 private:
  const Weights& weights_;
  Status status_;
};

// Rows [first, first + count) of a tensor, along its first dimension.
HostTensor Slice(const HostTensor& tensor, int64_t first, int64_t count) {
  if (tensor.data == nullptr) return {};
  HostTensor out = tensor;
  const int64_t row = tensor.elements() / tensor.shape[0];
  out.data = static_cast<const char*>(tensor.data) + first * row * SizeOf(tensor.type);
  out.shape[0] = count;
  return out;
}

BlockTensors ReadBlock(Reader* reader, Layout layout, const std::string& prefix,
                       const TransformerConfig& config) {
  const int64_t width = config.width, mlp = config.mlp_width;
  const BlockNames& names = layout == Layout::kOpenClip ? kOpenClipNames : kHuggingFaceNames;
  BlockTensors block;
  block.norm1 = reader->Norm(prefix + names.norm1, width);
  if (layout == Layout::kOpenClip) {
    const HostTensor weight = reader->Get(prefix + "attn.in_proj_weight", {3 * width, width});
    const HostTensor bias = reader->Get(prefix + "attn.in_proj_bias", {3 * width});
    for (int i = 0; i < 3; ++i) {
      block.qkv[i] = Slice(weight, i * width, width);
      block.qkv_bias[i] = Slice(bias, i * width, width);
    }
  } else {
    for (int i = 0; i < 3; ++i) {
      const std::string name = prefix + "self_attn." + "qkv"[i] + "_proj";
      block.qkv[i] = reader->Get(name + ".weight", {width, width});
      block.qkv_bias[i] = reader->Get(name + ".bias", {width});
    }
  }
  block.out = reader->Get(prefix + names.out + ".weight", {width, width});
  block.out_bias = reader->Get(prefix + names.out + ".bias", {width});
  block.norm2 = reader->Norm(prefix + names.norm2, width);
  block.fc1 = reader->Get(prefix + names.fc1 + ".weight", {mlp, width});
  block.fc1_bias = reader->Get(prefix + names.fc1 + ".bias", {mlp});
  block.fc2 = reader->Get(prefix + names.fc2 + ".weight", {width, mlp});
  block.fc2_bias = reader->Get(prefix + names.fc2 + ".bias", {width});
  if (config.layer_scale) {
    block.scale1 = reader->Get(prefix + "ls_1.gamma", {width});
    block.scale2 = reader->Get(prefix + "ls_2.gamma", {width});
  }
  return block;
}

std::vector<BlockTensors> ReadBlocks(Reader* reader, Layout layout, const std::string& prefix,
                                     const TransformerConfig& config) {
  std::vector<BlockTensors> blocks;
  for (int i = 0; i < config.layers && reader->status().ok(); ++i) {
    blocks.push_back(ReadBlock(reader, layout, prefix + std::to_string(i) + ".", config));
  }
  return blocks;
}

}  // namespace

Result<VisionTensors> GetVisionTensors(const Weights& weights, const ModelConfig& config) {
  const VisionConfig& vision = config.vision;
  const bool open_clip = config.layout == Layout::kOpenClip;
  if (vision.is_resnet()) {
    VisionTensors resnet;
    CLIPTAG_ASSIGN_OR_RETURN(resnet.resnet, GetResNetTensors(weights, config));
    return resnet;
  }
  if (weights.Has("visual.attnpool.positional_embedding")) {
    return DataLoss(config.path +
                    ": the weights are a ResNet's, but the configuration describes a vision "
                    "transformer: vision_cfg.layers of a ResNet is a list of four numbers.");
  }
  const int64_t width = vision.transformer.width, patch = vision.patch_size;
  const std::string base = open_clip ? "visual." : "vision_model.";
  const std::string embeddings = open_clip ? base : base + "embeddings.";
  const std::string convolution = open_clip ? base + "conv1" : embeddings + "patch_embedding";
  Reader reader(weights);
  VisionTensors out;
  out.patch = reader.Get(convolution + ".weight", {width, 3, patch, patch});
  if (vision.patch_bias) out.patch_bias = reader.Get(convolution + ".bias", {width});
  out.class_token = reader.Get(embeddings + "class_embedding", {width});
  out.position =
      reader.Get(embeddings + (open_clip ? "positional_embedding" : "position_embedding.weight"),
                 {vision.tokens(), width});
  if (vision.pre_norm) {
    // "layrnorm" is how transformers spells it.
    out.pre_norm = reader.Norm(base + (open_clip ? "ln_pre" : "pre_layrnorm"), width);
  }
  out.blocks = ReadBlocks(&reader, config.layout,
                          base + (open_clip ? "transformer.resblocks." : "encoder.layers."),
                          vision.transformer);
  out.post_norm = reader.Norm(base + (open_clip ? "ln_post" : "post_layernorm"), width);
  out.projection.transposed = open_clip;
  out.projection.weight = open_clip
                              ? reader.Get("visual.proj", {width, config.embed_dim})
                              : reader.Get("visual_projection.weight", {config.embed_dim, width});
  CLIPTAG_RETURN_IF_ERROR(reader.status());
  return out;
}

Result<TextTensors> GetTextTensors(const Weights& weights, const ModelConfig& config) {
  const TextConfig& text = config.text;
  const bool open_clip = config.layout == Layout::kOpenClip;
  const int64_t width = text.transformer.width;
  // open_clip's custom_text models keep the text tower under a name of its own.
  std::string base = "text_model.";
  if (open_clip) base = weights.Has("text.token_embedding.weight") ? "text." : "";
  const std::string embeddings = open_clip ? base : base + "embeddings.";
  Reader reader(weights);
  TextTensors out;
  out.token = reader.Get(embeddings + "token_embedding.weight", {text.vocab_size, width});
  out.position =
      reader.Get(embeddings + (open_clip ? "positional_embedding" : "position_embedding.weight"),
                 {text.context_length, width});
  out.blocks = ReadBlocks(&reader, config.layout,
                          base + (open_clip ? "transformer.resblocks." : "encoder.layers."),
                          text.transformer);
  out.final_norm = reader.Norm(base + (open_clip ? "ln_final" : "final_layer_norm"), width);
  ProjectionTensors& projection = out.projection;
  const int64_t embed = config.embed_dim;
  if (!open_clip) {
    projection.weight = reader.Get("text_projection.weight", {embed, width});
  } else if (text.projection == Projection::kLinear) {
    projection.weight = reader.Get(base + "text_projection.weight", {embed, width});
    projection.bias = reader.Get(base + "text_projection.bias", {embed});
  } else if (text.projection == Projection::kMatrix) {
    projection.weight = reader.Get(base + "text_projection", {width, embed});
    projection.transposed = true;
  }
  CLIPTAG_RETURN_IF_ERROR(reader.status());
  return out;
}

}  // namespace cliptag
