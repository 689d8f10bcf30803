#include "models/encoders/clip_tensors.h"

#include <cmath>
#include <string>
#include <utility>

namespace cliptag {
namespace {

// Weights and biases of Q, K and V: a name each, where a name with nulls after it is of those
// stacked, and "" of what is not there.
struct QkvNames {
  const char *weight[3], *bias[3];
};

// Linear layers and norms have a .weight and a .bias. These are after the block's own prefix.
struct BlockNames {
  const char *norm1, *norm2;
  QkvNames qkv;
  const char *out, *fc1, *fc2;
  const char *scale1 = "ls_1.gamma", *scale2 = "ls_2.gamma";  // open_clip's
  const char *gate = "mlp.fc1_g", *attention_norm = "attn.norm", *mlp_norm = "mlp.norm";  // EVA's
};
constexpr BlockNames kOpenClipBlock = {
    "ln_1",          "ln_2",     {{"attn.in_proj_weight"}, {"attn.in_proj_bias"}},
    "attn.out_proj", "mlp.c_fc", "mlp.c_proj"};
constexpr BlockNames kHuggingFaceBlock = {
    "layer_norm1",
    "layer_norm2",
    {{"self_attn.q_proj.weight", "self_attn.k_proj.weight", "self_attn.v_proj.weight"},
     {"self_attn.q_proj.bias", "self_attn.k_proj.bias", "self_attn.v_proj.bias"}},
    "self_attn.out_proj",
    "mlp.fc1",
    "mlp.fc2"};
constexpr BlockNames kTimmBlock = {"norm1",     "norm2",   {{"attn.qkv.weight"}, {"attn.qkv.bias"}},
                                   "attn.proj", "mlp.fc1", "mlp.fc2"};
constexpr BlockNames kEvaBlock = {
    "norm1",     "norm2",   {{"attn.qkv.weight"}, {"attn.q_bias", "", "attn.v_bias"}},
    "attn.proj", "mlp.fc1", "mlp.fc2"};
constexpr BlockNames kEva02Block = {
    "norm1",
    "norm2",
    {{"attn.q_proj.weight", "attn.k_proj.weight", "attn.v_proj.weight"},
     {"attn.q_proj.bias", "", "attn.v_proj.bias"}},
    "attn.proj",
    "mlp.fc1_x",
    "mlp.fc2"};

struct PoolNames {
  const char *prefix, *query;
  QkvNames qkv;
  const char *out, *norm = "";  // the norm is SigLIP's
};
constexpr PoolNames kHuggingFacePool = {
    .prefix = "vision_model.head.",
    .query = "probe",
    .qkv = {{"attention.in_proj_weight"}, {"attention.in_proj_bias"}},
    .out = "attention.out_proj",
    .norm = "layernorm"};
constexpr PoolNames kTimmPool = {.prefix = "visual.trunk.attn_pool.",
                                 .query = "latent",
                                 .qkv = {{"q.weight", "kv.weight"}, {"q.bias", "kv.bias"}},
                                 .out = "proj",
                                 .norm = "norm"};
constexpr PoolNames kCocaPool = {.prefix = "visual.attn_pool.",
                                 .query = "query",
                                 .qkv = {{"attn.in_proj_weight"}, {"attn.in_proj_bias"}},
                                 .out = "attn.out_proj"};
// PyTorch stacks the weights only where tokens are as wide as the embedding.
constexpr QkvNames kCocaQkv = {{"attn.q_proj_weight", "attn.k_proj_weight", "attn.v_proj_weight"},
                               {"attn.in_proj_bias"}};

struct ProjectionNames {
  const char *matrix, *linear;
  bool transposed = false;  // the matrix
};

struct VitNames {
  const char *patch, *class_token, *position, *pre_norm, *blocks;
  BlockNames block;
  const char* post_norm;
  PoolNames pool;
  ProjectionNames projection;
};
constexpr VitNames kOpenClipVit = {.patch = "visual.conv1",
                                   .class_token = "visual.class_embedding",
                                   .position = "visual.positional_embedding",
                                   .pre_norm = "visual.ln_pre",
                                   .blocks = "visual.transformer.resblocks.",
                                   .block = kOpenClipBlock,
                                   .post_norm = "visual.ln_post",
                                   .pool = kCocaPool,
                                   .projection = {"visual.proj", "", true}};
constexpr VitNames kHuggingFaceVit = {
    .patch = "vision_model.embeddings.patch_embedding",
    .class_token = "vision_model.embeddings.class_embedding",
    .position = "vision_model.embeddings.position_embedding.weight",
    .pre_norm = "vision_model.pre_layrnorm",  // as transformers spells it
    .blocks = "vision_model.encoder.layers.",
    .block = kHuggingFaceBlock,
    .post_norm = "vision_model.post_layernorm",
    .pool = kHuggingFacePool,
    .projection = {"visual_projection.weight", ""}};
constexpr VitNames kTimmVit = {.patch = "visual.trunk.patch_embed.proj",
                               .class_token = "visual.trunk.cls_token",
                               .position = "visual.trunk.pos_embed",
                               .pre_norm = "visual.trunk.norm_pre",
                               .blocks = "visual.trunk.blocks.",
                               .block = kTimmBlock,
                               .post_norm = "visual.trunk.norm",
                               .pool = kTimmPool,
                               .projection = {"", "visual.trunk.head"}};

VitNames NamesOf(Layout layout, VitNaming naming) {
  if (naming == VitNaming::kLayout) {
    return layout == Layout::kOpenClip ? kOpenClipVit : kHuggingFaceVit;
  }
  VitNames names = kTimmVit;
  if (naming == VitNaming::kEva) names.block = kEvaBlock;
  if (naming == VitNaming::kEva02) names.block = kEva02Block;
  return names;
}

struct TextNames {
  const char *token, *class_token = "", *position, *blocks;
  BlockNames block;
  const char* final_norm;
  ProjectionNames projection;
};
// In custom_text models after "text.".
constexpr TextNames kOpenClipText = {.token = "token_embedding.weight",
                                     .class_token = "cls_emb",
                                     .position = "positional_embedding",
                                     .blocks = "transformer.resblocks.",
                                     .block = kOpenClipBlock,
                                     .final_norm = "ln_final",
                                     .projection = {"text_projection", "text_projection", true}};
// The head is SigLIP's.
constexpr TextNames kHuggingFaceText = {
    .token = "text_model.embeddings.token_embedding.weight",
    .position = "text_model.embeddings.position_embedding.weight",
    .blocks = "text_model.encoder.layers.",
    .block = kHuggingFaceBlock,
    .final_norm = "text_model.final_layer_norm",
    .projection = {"text_projection.weight", "text_model.head"}};

// Rows [first, first + count) of a tensor, along its first dimension.
HostTensor Slice(const HostTensor& tensor, int64_t first, int64_t count) {
  if (tensor.data == nullptr) return {};
  HostTensor out = tensor;
  const int64_t row = tensor.elements() / tensor.shape[0];
  out.data = static_cast<const char*>(tensor.data) + first * row * SizeOf(tensor.type);
  out.shape[0] = count;
  return out;
}

// (rows, columns) each, or (rows) where `columns` is null.
void ReadThree(TensorReader* reader, const std::string& prefix, const char* const (&names)[3],
               int64_t rows, const int64_t* columns, HostTensor* out) {
  for (int first = 0, end = 0; first < 3; first = end) {
    for (end = first + 1; end < 3 && names[end] == nullptr;) ++end;
    if (*names[first] == '\0') continue;
    std::vector<int64_t> shape = {(end - first) * rows};
    if (columns != nullptr) shape.push_back(columns[first]);
    const HostTensor stacked = reader->Get(prefix + names[first], std::move(shape));
    for (int i = first; i < end; ++i) out[i] = Slice(stacked, (i - first) * rows, rows);
  }
}

// Q looks at `q_in` numbers, K and V at `kv_in`.
void ReadQkv(TensorReader* reader, const std::string& prefix, const QkvNames& names, int64_t width,
             int64_t q_in, int64_t kv_in, HostTensor* weights, HostTensor* biases) {
  const int64_t columns[] = {q_in, kv_in, kv_in};
  ReadThree(reader, prefix, names.weight, width, columns, weights);
  ReadThree(reader, prefix, names.bias, width, nullptr, biases);
}

BlockTensors ReadBlock(TensorReader* reader, const BlockNames& names, const std::string& prefix,
                       const TransformerConfig& config) {
  const int64_t width = config.width, mlp = config.mlp_width;
  BlockTensors block;
  block.norm1 = reader->Norm(prefix + names.norm1, width);
  ReadQkv(reader, prefix, names.qkv, width, width, width, block.qkv, block.qkv_bias);
  reader->Linear(prefix + names.out, width, width, &block.out, &block.out_bias);
  block.norm2 = reader->Norm(prefix + names.norm2, width);
  if (config.gated_mlp) {
    reader->Linear(prefix + names.gate, mlp, width, &block.gate, &block.gate_bias);
  }
  reader->Linear(prefix + names.fc1, mlp, width, &block.fc1, &block.fc1_bias);
  reader->Linear(prefix + names.fc2, width, mlp, &block.fc2, &block.fc2_bias);
  if (config.inner_norms) {
    block.attention_norm = reader->Norm(prefix + names.attention_norm, width);
    block.mlp_norm = reader->Norm(prefix + names.mlp_norm, mlp);
  }
  if (config.layer_scale) {
    block.scale1 = reader->Get(prefix + names.scale1, {width});
    block.scale2 = reader->Get(prefix + names.scale2, {width});
  }
  return block;
}

std::vector<BlockTensors> ReadBlocks(TensorReader* reader, const BlockNames& names,
                                     const std::string& prefix, const TransformerConfig& config) {
  std::vector<BlockTensors> blocks;
  for (int i = 0; i < config.layers && reader->status().ok(); ++i) {
    blocks.push_back(ReadBlock(reader, names, prefix + std::to_string(i) + ".", config));
  }
  return blocks;
}

AttentionPoolTensors ReadPool(TensorReader* reader, const PoolNames& names, const VitConfig& vit,
                              int64_t embed) {
  const int64_t width = vit.transformer.width, mlp = vit.transformer.mlp_width;
  const std::string prefix = names.prefix;
  const bool probe = vit.attention_pool == AttentionPool::kProbe;  // then width is embed
  AttentionPoolTensors pool;
  ReadQkv(reader, prefix, probe || width == embed ? names.qkv : kCocaQkv, embed, embed, width,
          pool.qkv, pool.qkv_bias);
  reader->Linear(prefix + names.out, embed, embed, &pool.out, &pool.out_bias);
  if (probe) {
    pool.query = reader->Get(prefix + names.query, {1, 1, width});
    pool.norm = reader->Norm(prefix + names.norm, width);
    reader->Linear(prefix + "mlp.fc1", mlp, width, &pool.fc1, &pool.fc1_bias);
    reader->Linear(prefix + "mlp.fc2", width, mlp, &pool.fc2, &pool.fc2_bias);
  } else {
    pool.query = reader->Get(prefix + names.query, {vit.pool_queries, embed});
    pool.query_norm = reader->Norm(prefix + "ln_q", embed);
    pool.key_norm = reader->Norm(prefix + "ln_k", width);
  }
  return pool;
}

ProjectionTensors ReadProjection(TensorReader* reader, const ProjectionNames& names, bool linear,
                                 int64_t width, int64_t embed) {
  ProjectionTensors out;
  out.transposed = !linear && names.transposed;
  if (linear) {
    reader->Linear(names.linear, embed, width, &out.weight, &out.bias);
  } else if (names.transposed) {
    out.weight = reader->Get(names.matrix, {width, embed});
  } else {
    out.weight = reader->Get(names.matrix, {embed, width});
  }
  return out;
}

Result<VitTensors> GetTensors(const Weights& weights, const ModelConfig& config,
                              const VitConfig& vit) {
  if (weights.Has("visual.attnpool.positional_embedding")) {
    return DataLoss(config.path +
                    ": the weights are a ResNet's, but the configuration describes a vision "
                    "transformer: vision_cfg.layers of a ResNet is a list of four numbers.");
  }
  const bool timm = vit.naming != VitNaming::kLayout;
  const VitNames names = NamesOf(config.layout, vit.naming);
  const int64_t width = vit.transformer.width, patch = vit.patch_size, embed = config.embed_dim;
  TensorReader reader(weights);
  // timm's have dimensions of 1 in front.
  const auto get = [&](const char* name, std::vector<int64_t> ones, std::vector<int64_t> shape) {
    if (timm) shape.insert(shape.begin(), ones.begin(), ones.end());
    return reader.Get(name, std::move(shape));
  };
  VitTensors out;
  if (vit.conv_stem) {
    CLIPTAG_ASSIGN_OR_RETURN(out.stem, GetConvStemTensors(weights, vit));
  } else {
    out.patch = reader.Get(std::string(names.patch) + ".weight", {width, 3, patch, patch});
  }
  if (vit.patch_bias) out.patch_bias = reader.Get(std::string(names.patch) + ".bias", {width});
  if (vit.class_token) out.class_token = get(names.class_token, {1, 1}, {width});
  out.position =
      get(names.position, {1}, {vit.class_position ? vit.tokens() : vit.patches(), width});
  if (vit.pre_norm) out.pre_norm = reader.Norm(names.pre_norm, width);
  out.blocks = ReadBlocks(&reader, names.block, names.blocks, vit.transformer);
  const bool pools = vit.attention_pool != AttentionPool::kNone;
  if (pools) out.pool = ReadPool(&reader, names.pool, vit, embed);
  const int64_t pooled_width = pools ? embed : width;
  out.post_norm = reader.Norm(names.post_norm, pooled_width);
  if (vit.attention_pool != AttentionPool::kProbe) {  // whose answer is the embedding
    out.projection = ReadProjection(&reader, names.projection, timm, pooled_width, embed);
  }
  CLIPTAG_RETURN_IF_ERROR(reader.status());
  return out;
}

}  // namespace

Result<VisionTensors> GetVisionTensors(const Weights& weights, const ModelConfig& config) {
  VisionTensors out;
  const auto get = [&](const auto& tower) -> Status {
    CLIPTAG_ASSIGN_OR_RETURN(out, GetTensors(weights, config, tower));
    return {};
  };
  CLIPTAG_RETURN_IF_ERROR(std::visit(get, config.vision));
  return out;
}

Result<TextTensors> GetTextTensors(const Weights& weights, const ModelConfig& config) {
  const TextConfig& text = config.text;
  const bool open_clip = config.layout == Layout::kOpenClip;
  const bool custom_text = open_clip && weights.Has("text.token_embedding.weight");
  const TextNames& names = open_clip ? kOpenClipText : kHuggingFaceText;
  const int64_t width = text.transformer.width;
  TensorReader reader(weights, custom_text ? "text." : "");
  TextTensors out;
  out.token = reader.Get(names.token, {text.vocab_size, width});
  out.position =
      reader.Get(names.position, {text.context_length + (text.class_token ? 1 : 0), width});
  if (text.class_token) out.class_token = reader.Get(names.class_token, {width});
  out.blocks = ReadBlocks(&reader, names.block, names.blocks, text.transformer);
  out.final_norm = reader.Norm(names.final_norm, width);
  if (text.projection != Projection::kNone) {
    out.projection = ReadProjection(
        &reader, names.projection, text.projection == Projection::kLinear, width, config.embed_dim);
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
