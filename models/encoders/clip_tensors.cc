#include "models/encoders/clip_tensors.h"

#include <cmath>
#include <string>

namespace cliptag {
namespace {

// What the layouts call the parts of a block, after the block's own prefix.
struct BlockNames {
  const char *norm1, *norm2;
  const char *qkv, *qkv_bias;  // of the three stacked, or null: self_attn.q_proj and so on
  const char *out, *fc1, *fc2;
};
constexpr BlockNames kOpenClipNames = {
    "ln_1",          "ln_2",     "attn.in_proj_weight", "attn.in_proj_bias",
    "attn.out_proj", "mlp.c_fc", "mlp.c_proj"};
constexpr BlockNames kTimmNames = {"norm1",     "norm2",   "attn.qkv.weight", "attn.qkv.bias",
                                   "attn.proj", "mlp.fc1", "mlp.fc2"};
constexpr BlockNames kHuggingFaceNames = {"layer_norm1",        "layer_norm2", nullptr,  nullptr,
                                          "self_attn.out_proj", "mlp.fc1",     "mlp.fc2"};

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
  // A linear layer's weight and bias.
  void Linear(const std::string& name, int64_t out, int64_t in, HostTensor* weight,
              HostTensor* bias) {
    *weight = Get(name + ".weight", {out, in});
    *bias = Get(name + ".bias", {out});
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

// Several (width, in) matrices that a file holds stacked, and their biases.
void ReadStacked(Reader* reader, const std::string& weight_name, const std::string& bias_name,
                 int count, int64_t width, int64_t in, HostTensor* weights, HostTensor* biases) {
  const HostTensor weight = reader->Get(weight_name, {count * width, in});
  const HostTensor bias = reader->Get(bias_name, {count * width});
  for (int i = 0; i < count; ++i) {
    weights[i] = Slice(weight, i * width, width);
    biases[i] = Slice(bias, i * width, width);
  }
}

BlockTensors ReadBlock(Reader* reader, const BlockNames& names, const std::string& prefix,
                       const TransformerConfig& config) {
  const int64_t width = config.width, mlp = config.mlp_width;
  BlockTensors block;
  block.norm1 = reader->Norm(prefix + names.norm1, width);
  if (names.qkv != nullptr) {
    ReadStacked(reader, prefix + names.qkv, prefix + names.qkv_bias, 3, width, width, block.qkv,
                block.qkv_bias);
  } else {
    for (int i = 0; i < 3; ++i) {
      reader->Linear(prefix + "self_attn." + "qkv"[i] + "_proj", width, width, &block.qkv[i],
                     &block.qkv_bias[i]);
    }
  }
  reader->Linear(prefix + names.out, width, width, &block.out, &block.out_bias);
  block.norm2 = reader->Norm(prefix + names.norm2, width);
  reader->Linear(prefix + names.fc1, mlp, width, &block.fc1, &block.fc1_bias);
  reader->Linear(prefix + names.fc2, width, mlp, &block.fc2, &block.fc2_bias);
  if (config.layer_scale) {
    block.scale1 = reader->Get(prefix + "ls_1.gamma", {width});
    block.scale2 = reader->Get(prefix + "ls_2.gamma", {width});
  }
  return block;
}

std::vector<BlockTensors> ReadBlocks(Reader* reader, const BlockNames& names,
                                     const std::string& prefix, const TransformerConfig& config) {
  std::vector<BlockTensors> blocks;
  for (int i = 0; i < config.layers && reader->status().ok(); ++i) {
    blocks.push_back(ReadBlock(reader, names, prefix + std::to_string(i) + ".", config));
  }
  return blocks;
}

// SigLIP's head, as timm and as transformers call its parts.
AttentionPoolTensors ReadProbePool(Reader* reader, bool timm, const std::string& prefix,
                                   const TransformerConfig& config) {
  const int64_t width = config.width, mlp = config.mlp_width;
  AttentionPoolTensors pool;
  pool.query = reader->Get(prefix + (timm ? "latent" : "probe"), {1, 1, width});
  if (timm) {
    reader->Linear(prefix + "q", width, width, &pool.qkv[0], &pool.qkv_bias[0]);
    ReadStacked(reader, prefix + "kv.weight", prefix + "kv.bias", 2, width, width, pool.qkv + 1,
                pool.qkv_bias + 1);
  } else {
    ReadStacked(reader, prefix + "attention.in_proj_weight", prefix + "attention.in_proj_bias", 3,
                width, width, pool.qkv, pool.qkv_bias);
  }
  reader->Linear(prefix + (timm ? "proj" : "attention.out_proj"), width, width, &pool.out,
                 &pool.out_bias);
  pool.norm = reader->Norm(prefix + (timm ? "norm" : "layernorm"), width);
  reader->Linear(prefix + "mlp.fc1", mlp, width, &pool.fc1, &pool.fc1_bias);
  reader->Linear(prefix + "mlp.fc2", width, mlp, &pool.fc2, &pool.fc2_bias);
  return pool;
}

// CoCa's pooler. PyTorch stacks Q, K and V where the tokens are as wide as the embedding.
AttentionPoolTensors ReadQueryPool(Reader* reader, const std::string& prefix, int queries,
                                   int64_t width, int64_t embed) {
  AttentionPoolTensors pool;
  pool.query = reader->Get(prefix + "query", {queries, embed});
  pool.query_norm = reader->Norm(prefix + "ln_q", embed);
  pool.key_norm = reader->Norm(prefix + "ln_k", width);
  if (width == embed) {
    ReadStacked(reader, prefix + "attn.in_proj_weight", prefix + "attn.in_proj_bias", 3, embed,
                embed, pool.qkv, pool.qkv_bias);
  } else {
    const HostTensor bias = reader->Get(prefix + "attn.in_proj_bias", {3 * embed});
    for (int i = 0; i < 3; ++i) {
      pool.qkv[i] = reader->Get(prefix + "attn." + "qkv"[i] + "_proj_weight",
                                {embed, i == 0 ? embed : width});
      pool.qkv_bias[i] = Slice(bias, i * embed, embed);
    }
  }
  reader->Linear(prefix + "attn.out_proj", embed, embed, &pool.out, &pool.out_bias);
  return pool;
}

// Queries' and values' biases, but none of keys.
void ReadEvaQkv(Reader* reader, const std::string& prefix, const TransformerConfig& config,
                BlockTensors* block) {
  const int64_t width = config.width;
  if (!config.gated_mlp) {
    const HostTensor qkv = reader->Get(prefix + "qkv.weight", {3 * width, width});
    for (int i = 0; i < 3; ++i) block->qkv[i] = Slice(qkv, i * width, width);
    block->qkv_bias[0] = reader->Get(prefix + "q_bias", {width});
    block->qkv_bias[2] = reader->Get(prefix + "v_bias", {width});
    return;
  }
  reader->Linear(prefix + "q_proj", width, width, &block->qkv[0], &block->qkv_bias[0]);
  block->qkv[1] = reader->Get(prefix + "k_proj.weight", {width, width});
  reader->Linear(prefix + "v_proj", width, width, &block->qkv[2], &block->qkv_bias[2]);
}

BlockTensors ReadEvaBlock(Reader* reader, const std::string& prefix,
                          const TransformerConfig& config) {
  const int64_t width = config.width, mlp = config.mlp_width;
  BlockTensors block;
  block.norm1 = reader->Norm(prefix + "norm1", width);
  block.norm2 = reader->Norm(prefix + "norm2", width);
  ReadEvaQkv(reader, prefix + "attn.", config, &block);
  if (config.inner_norms) {
    block.attention_norm = reader->Norm(prefix + "attn.norm", width);
    block.mlp_norm = reader->Norm(prefix + "mlp.norm", mlp);
  }
  reader->Linear(prefix + "attn.proj", width, width, &block.out, &block.out_bias);
  if (config.gated_mlp) {
    reader->Linear(prefix + "mlp.fc1_g", mlp, width, &block.gate, &block.gate_bias);
  }
  reader->Linear(prefix + (config.gated_mlp ? "mlp.fc1_x" : "mlp.fc1"), mlp, width, &block.fc1,
                 &block.fc1_bias);
  reader->Linear(prefix + "mlp.fc2", width, mlp, &block.fc2, &block.fc2_bias);
  return block;
}

VisionTensors ReadEvaVision(Reader* reader, const VisionConfig& vision, int64_t embed) {
  const int64_t width = vision.transformer.width, patch = vision.patch_size;
  const std::string base = "visual.trunk.";
  VisionTensors out;
  out.patch = reader->Get(base + "patch_embed.proj.weight", {width, 3, patch, patch});
  out.patch_bias = reader->Get(base + "patch_embed.proj.bias", {width});
  out.class_token = reader->Get(base + "cls_token", {1, 1, width});
  out.position = reader->Get(base + "pos_embed", {1, vision.tokens(), width});
  for (int i = 0; i < vision.transformer.layers && reader->status().ok(); ++i) {
    out.blocks.push_back(
        ReadEvaBlock(reader, base + "blocks." + std::to_string(i) + ".", vision.transformer));
  }
  out.post_norm = reader->Norm(base + "norm", width);
  reader->Linear(base + "head", embed, width, &out.projection.weight, &out.projection.bias);
  return out;
}

VisionTensors ReadTimmVision(Reader* reader, const VisionConfig& vision, int64_t embed) {
  const int64_t width = vision.transformer.width, patch = vision.patch_size;
  const std::string base = "visual.trunk.";
  VisionTensors out;
  if (!vision.conv_stem) {
    out.patch = reader->Get(base + "patch_embed.proj.weight", {width, 3, patch, patch});
  }
  if (vision.patch_bias) out.patch_bias = reader->Get(base + "patch_embed.proj.bias", {width});
  if (vision.class_token) out.class_token = reader->Get(base + "cls_token", {1, 1, width});
  out.position = reader->Get(
      base + "pos_embed", {1, vision.class_position ? vision.tokens() : vision.patches(), width});
  if (vision.pre_norm) out.pre_norm = reader->Norm(base + "norm_pre", width);
  out.blocks = ReadBlocks(reader, kTimmNames, base + "blocks.", vision.transformer);
  out.post_norm = reader->Norm(base + "norm", width);
  if (vision.attention_pool == AttentionPool::kProbe) {
    out.pool = ReadProbePool(reader, /*timm=*/true, base + "attn_pool.", vision.transformer);
  } else {
    reader->Linear(base + "head", embed, width, &out.projection.weight, &out.projection.bias);
  }
  return out;
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
  if (vision.is_fastvit()) {
    VisionTensors fastvit;
    CLIPTAG_ASSIGN_OR_RETURN(fastvit.fastvit, GetFastVitTensors(weights, config));
    return fastvit;
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
  if (vision.timm) {
    out = vision.eva ? ReadEvaVision(&reader, vision, config.embed_dim)
                     : ReadTimmVision(&reader, vision, config.embed_dim);
    CLIPTAG_RETURN_IF_ERROR(reader.status());
    if (vision.conv_stem) {
      CLIPTAG_ASSIGN_OR_RETURN(out.stem, GetConvStemTensors(weights, vision));
    }
    return out;
  }
  out.patch = reader.Get(convolution + ".weight", {width, 3, patch, patch});
  if (vision.patch_bias) out.patch_bias = reader.Get(convolution + ".bias", {width});
  if (vision.class_token) out.class_token = reader.Get(embeddings + "class_embedding", {width});
  out.position =
      reader.Get(embeddings + (open_clip ? "positional_embedding" : "position_embedding.weight"),
                 {vision.tokens(), width});
  if (vision.pre_norm) {
    // "layrnorm" is how transformers spells it.
    out.pre_norm = reader.Norm(base + (open_clip ? "ln_pre" : "pre_layrnorm"), width);
  }
  out.blocks = ReadBlocks(&reader, open_clip ? kOpenClipNames : kHuggingFaceNames,
                          base + (open_clip ? "transformer.resblocks." : "encoder.layers."),
                          vision.transformer);
  const int64_t embed = config.embed_dim;
  int64_t pooled_width = width;
  if (vision.attention_pool == AttentionPool::kProbe) {
    out.pool = ReadProbePool(&reader, /*timm=*/false, base + "head.", vision.transformer);
  } else if (vision.attention_pool == AttentionPool::kQuery) {
    out.pool = ReadQueryPool(&reader, base + "attn_pool.", vision.pool_queries, width, embed);
    pooled_width = embed;
  }
  out.post_norm = reader.Norm(base + (open_clip ? "ln_post" : "post_layernorm"), pooled_width);
  if (vision.attention_pool == AttentionPool::kProbe) {
    CLIPTAG_RETURN_IF_ERROR(reader.status());
    return out;  // the head's answer is the embedding
  }
  out.projection.transposed = open_clip;
  out.projection.weight = open_clip ? reader.Get("visual.proj", {pooled_width, embed})
                                    : reader.Get("visual_projection.weight", {embed, width});
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
                 {text.context_length + (text.class_token ? 1 : 0), width});
  if (text.class_token) out.class_token = reader.Get(base + "cls_emb", {width});
  out.blocks = ReadBlocks(&reader, open_clip ? kOpenClipNames : kHuggingFaceNames,
                          base + (open_clip ? "transformer.resblocks." : "encoder.layers."),
                          text.transformer);
  out.final_norm = reader.Norm(base + (open_clip ? "ln_final" : "final_layer_norm"), width);
  ProjectionTensors& projection = out.projection;
  const int64_t embed = config.embed_dim;
  if (!open_clip && text.projection == Projection::kLinear) {  // SigLIP
    reader.Linear("text_model.head", embed, width, &projection.weight, &projection.bias);
  } else if (!open_clip) {
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

Status ReadLogits(const Weights& weights, ModelConfig* config) {
  CLIPTAG_ASSIGN_OR_RETURN(const float scale, weights.Scalar("logit_scale"));
  config->logit_scale = std::exp(static_cast<double>(scale));
  if (weights.Has("logit_bias")) {
    CLIPTAG_ASSIGN_OR_RETURN(const float bias, weights.Scalar("logit_bias"));
    config->logit_bias = bias;
  }
  // The exponential of minus infinity is a finite number, too.
  if (!(config->logit_scale > 0) || !std::isfinite(static_cast<float>(config->logit_scale)) ||
      !std::isfinite(config->logit_bias)) {
    return DataLoss(config->path +
                    ": the tensor logit_scale or logit_bias is not a finite number.");
  }
  return {};
}

}  // namespace cliptag
