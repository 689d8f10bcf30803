#include "models/tower_identity.h"

#include <initializer_list>
#include <utility>
#include <vector>

#include "models/io/content_hash.h"
#include "models/io/input_file.h"
#include "models/text/tokenizer.h"
#include "models/weights/weights.h"

namespace cliptag {
namespace {

void AddTensor(const HostTensor& tensor, ContentHash* hash) {
  hash->AddNumber(static_cast<int64_t>(tensor.type));
  hash->AddBytes(tensor.shape.data(), tensor.shape.size() * sizeof(tensor.shape[0]));
  const size_t bytes =
      tensor.data == nullptr ? 0 : static_cast<size_t>(tensor.elements()) * SizeOf(tensor.type);
  hash->AddLarge(tensor.data, bytes);
}

void AddAll(std::initializer_list<const HostTensor*> tensors, ContentHash* hash) {
  for (const HostTensor* tensor : tensors) AddTensor(*tensor, hash);
}

void AddBlocks(const std::vector<BlockTensors>& blocks, ContentHash* hash) {
  for (const BlockTensors& b : blocks) {
    AddAll({&b.norm1.gamma, &b.norm1.beta, &b.norm2.gamma, &b.norm2.beta, &b.out, &b.out_bias,
            &b.fc1, &b.fc1_bias, &b.fc2, &b.fc2_bias, &b.scale1, &b.scale2},
           hash);
    for (int i = 0; i < 3; ++i) AddAll({&b.qkv[i], &b.qkv_bias[i]}, hash);
    if (b.gate.data == nullptr) continue;  // banks hold the identities of towers without one
    AddAll({&b.gate, &b.gate_bias, &b.attention_norm.gamma, &b.attention_norm.beta,
            &b.mlp_norm.gamma, &b.mlp_norm.beta},
           hash);
  }
}

void AddConvolution(const NormedConvolutionTensors& t, ContentHash* hash) {
  const BatchNormTensors& norm = t.norm;
  AddAll({&t.weight, &norm.gamma, &norm.beta, &norm.mean, &norm.variance}, hash);
}

void AddStem(const ConvStemTensors& t, ContentHash* hash) {
  AddConvolution(t.conv1, hash);
  AddConvolution(t.conv2, hash);
  AddAll({&t.conv3, &t.bias}, hash);
}

void AddPool(const AttentionPoolTensors& p, ContentHash* hash) {
  AddAll(
      {&p.query, &p.query_norm.gamma, &p.query_norm.beta, &p.key_norm.gamma, &p.key_norm.beta,
       &p.out, &p.out_bias, &p.norm.gamma, &p.norm.beta, &p.fc1, &p.fc1_bias, &p.fc2, &p.fc2_bias},
      hash);
  for (int i = 0; i < 3; ++i) AddAll({&p.qkv[i], &p.qkv_bias[i]}, hash);
}

void AddTensors(const TextTensors& t, ContentHash* hash) {
  AddAll({&t.token, &t.class_token, &t.position, &t.final_norm.gamma, &t.final_norm.beta,
          &t.projection.weight, &t.projection.bias},
         hash);
  AddBlocks(t.blocks, hash);
}

void AddTensors(const VitTensors& t, ContentHash* hash) {
  AddAll({&t.patch, &t.patch_bias, &t.class_token, &t.position, &t.pre_norm.gamma, &t.pre_norm.beta,
          &t.post_norm.gamma, &t.post_norm.beta, &t.projection.weight, &t.projection.bias},
         hash);
  AddBlocks(t.blocks, hash);
  AddStem(t.stem, hash);
  AddPool(t.pool, hash);
}

// Numbers, flags and enumerators.
template <typename... T>
void AddNumbers(ContentHash* hash, T... numbers) {
  (hash->AddNumber(static_cast<int64_t>(numbers)), ...);
}

void AddConfig(const ModelConfig& config, const TextTensors& tensors, ContentHash* hash) {
  const TextConfig& text = config.text;
  const TransformerConfig& t = text.transformer;
  AddNumbers(hash, config.embed_dim, t.width, t.layers, t.heads, t.mlp_width, t.activation,
             t.layer_scale);
  AddNumbers(hash, text.context_length, text.vocab_size, text.bos_id, text.eos_id, text.pad_id,
             text.pooling, text.causal, text.projection, text.clean, tensors.projection.transposed,
             text.class_token, text.correct_class_mask);
  hash->AddBytes(&t.layer_norm_eps, sizeof(t.layer_norm_eps));
}

void AddConfig(const ModelConfig& config, const VitTensors& tensors, ContentHash* hash) {
  const VitConfig& image = std::get<VitConfig>(config.vision);
  const TransformerConfig& t = image.transformer;
  const PreprocessSpec& pixels = config.preprocess;
  AddNumbers(hash, config.embed_dim, t.width, t.layers, t.heads, t.mlp_width, t.activation,
             t.layer_scale);
  AddNumbers(hash, image.image_size, image.patch_size, image.patch_bias, image.pre_norm,
             image.final_norm_after_pool, image.average_pool, image.class_token,
             image.class_position, image.conv_stem, image.attention_pool, image.pool_heads);
  AddNumbers(hash, t.gated_mlp, t.inner_norms, t.post_norm, image.rope_reference,
             tensors.projection.transposed);
  AddNumbers(hash, pixels.size, pixels.patch, pixels.fit, pixels.interpolation);
  hash->AddBytes(&t.layer_norm_eps, sizeof(t.layer_norm_eps));
  for (const auto& rgb : {pixels.mean, pixels.std, pixels.fill})
    hash->AddBytes(rgb, 3 * sizeof(float));
}

// Where there is none it takes the built-in vocabulary.
Status AddTokenizer(const std::string& directory, ContentHash* hash) {
  for (const std::string& name : TokenizerFiles(directory)) {
    CLIPTAG_ASSIGN_OR_RETURN(const std::string content, ReadFile(directory + "/" + name));
    hash->AddText(name);
    hash->AddText(content);
  }
  return {};
}

}  // namespace

Result<std::string> TextIdentity(const ModelConfig& config, const TextTensors& tensors) {
  ContentHash hash;
  AddConfig(config, tensors, &hash);
  AddTensors(tensors, &hash);
  CLIPTAG_RETURN_IF_ERROR(AddTokenizer(config.path, &hash));
  return hash.Hex();
}

Result<TextEncoderFacts> ReadTextIdentity(const std::string& path) {
  CLIPTAG_ASSIGN_OR_RETURN(const ModelConfig config, ReadModelConfig(path));
  CLIPTAG_ASSIGN_OR_RETURN(const auto weights, OpenWeights(config));
  CLIPTAG_ASSIGN_OR_RETURN(const TextTensors tensors, GetTextTensors(*weights, config));
  CLIPTAG_ASSIGN_OR_RETURN(std::string identity, TextIdentity(config, tensors));
  CLIPTAG_RETURN_IF_ERROR(weights->CheckUnchanged());
  return TextEncoderFacts{config.name, std::move(identity), config.embed_dim};
}

std::string ImageIdentity(const ModelConfig& config, const VitTensors& tensors) {
  ContentHash hash;
  AddConfig(config, tensors, &hash);
  AddTensors(tensors, &hash);
  return hash.Hex();
}

}  // namespace cliptag
