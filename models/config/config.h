// What a CLIP model's files say about it, read from either layout (Hugging Face: config.json +
// preprocessor_config.json; open_clip: open_clip_config.json) with the reference's defaults and
// precedence, or from the tensors of OpenAI's archives, which have nothing else. Plain data; thread
// safe to share once read.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "kernels/backend.h"
#include "kernels/base/status.h"
#include "kernels/frame.h"
#include "models/weights/layout.h"

namespace cliptag {

class Weights;

enum class TextPooling : uint8_t {
  kEosId,   // the first token equal to eos_id
  kArgmax,  // the largest id (open_clip, and the legacy Hugging Face config with eos_token_id 2)
  kFirst,   // the first token
  kLast,    // the last token of the padded context
};
enum class TextClean : uint8_t {
  kLower,
  kWhitespace,
  kCanonicalize
};  // open_clip's cleaning kinds
// Attention pooling: a learnt query attends to all tokens of the image tower.
enum class AttentionPool : uint8_t {
  kNone,
  kProbe,  // SigLIP: over the normalised tokens; an MLP is added to the result, which is the
           // embedding
  kQuery,  // CoCa: over tokens with a layer norm of their own; heads split the embedding's width
};
enum class Projection : uint8_t {
  kMatrix,  // (width, embed_dim) without a bias; Hugging Face stores it transposed
  kLinear,  // a linear layer with a bias
  kNone,
};

struct TransformerConfig {
  int width = 0;
  int layers = 0;
  int heads = 0;
  int mlp_width = 0;
  Activation activation = Activation::kGelu;
  float layer_norm_eps = 1e-5f;
  bool layer_scale = false;  // open_clip's ls_init_value; folded into the weights at load
  // EVA's. Gated: the MLP's middle is silu of one linear layer times another.
  bool gated_mlp = false;
  bool inner_norms = false;  // of attention's answers and of the MLP's middle
  bool post_norm = false;    // x += norm(part(x)) in place of x += part(norm(x))

  int head_dim() const { return width / heads; }
};

// Whose names the tensors of a vision transformer have: its layout's, or those of timm's classes.
enum class VitNaming : uint8_t { kLayout, kTimm, kEva, kEva02 };

// Each kind of image tower has kKind, its name; kNeeds, what a backend may lack; image_size;
// pixel_patch(), the edge of the patches in which pixels are prepared; and grid(), the places along
// an edge in the last layer.

struct VitConfig {
  static constexpr char kKind[] = "ViT";
  static constexpr std::optional<Feature> kNeeds = std::nullopt;
  TransformerConfig transformer;
  int image_size = 224;
  int patch_size = 32;
  // RoPE: queries and keys are turned by angles that grow with the row, in the first half of a
  // head, and the column, in the second. Patches a side of the grid whose places are whole numbers;
  // 0: no rotation.
  int rope_reference = 0;
  bool patch_bias = false;  // convolution with a bias
  bool pre_norm = true;     // layer norm before the first block (ln_pre / pre_layrnorm)
  bool final_norm_after_pool = false;
  bool average_pool = false;  // mean of the patch tokens instead of the class token
  bool class_token = true;
  bool class_position = true;  // the class token has a position, too
  bool conv_stem = false;      // MobileCLIP-B's (models/encoders/convolutional/conv_stem.h)
  AttentionPool attention_pool = AttentionPool::kNone;
  int pool_heads = 0, pool_queries = 1;  // of kQuery; only the first query's answer counts
  VitNaming naming = VitNaming::kLayout;

  int pixel_patch() const { return conv_stem ? 4 : patch_size; }
  int grid() const { return image_size / patch_size; }
  int patches() const { return grid() * grid(); }
  int tokens() const { return patches() + (class_token ? 1 : 0); }
};

// CLIP's modified ResNet; its activation is ReLU.
struct ResNetConfig {
  static constexpr char kKind[] = "ResNet";
  static constexpr std::optional<Feature> kNeeds = Feature::kConvolutions;
  int layers[4] = {0, 0, 0, 0};  // bottlenecks of each stage
  int width = 0;                 // channels behind the stem
  int heads = 0;                 // of the attention pooling
  int image_size = 224;

  int pixel_patch() const { return 1; }
  int grid() const { return image_size / 32; }
  int features() const { return 32 * width; }  // of the last stage
};

// FastViT, as MobileCLIP has it: stages of blocks that mix by depthwise convolutions and, in the
// last ones, by attention; its activation is GELU.
struct FastVitConfig {
  static constexpr char kKind[] = "FastViT";
  static constexpr std::optional<Feature> kNeeds = Feature::kDepthwiseConvolutions;
  static constexpr int kHeadWidth = 32;
  struct Stage {
    int layers = 0, width = 0;
    bool attention = false;  // with positions in front, a depthwise convolution
    bool squeeze = false;    // gates of the channels where the stage begins
  };
  std::vector<Stage> stages;
  int mlp_ratio = 3;
  bool layer_norm = false;  // in front of attention; else a batch norm
  bool stem_scale = true;   // the stem was trained with branches of one pixel
  int image_size = 224;

  int pixel_patch() const { return 1; }
  int grid() const { return image_size / 32; }
  int features() const { return 2 * stages.back().width; }  // of the last map
};

// What every kind must have is a set of overloads under std::visit: one that forgets a kind does
// not compile. What vision transformers alone have asks get_if<VitConfig>: auto_precision.cc,
// name_check.cc, the tool's `models list`.
using VisionConfig = std::variant<VitConfig, ResNetConfig, FastVitConfig>;

struct TextConfig {
  TransformerConfig transformer;
  int context_length = 77;
  int vocab_size = 49408;
  int bos_id = 49406;
  int eos_id = 49407;
  int pad_id = 0;
  TextPooling pooling = TextPooling::kEosId;
  bool causal = true;
  // CoCa: a class token after the text, whose output is the embedding. Open_clip's mask of padding
  // lies one token too far right, and published weights were trained so; correct_class_mask has it
  // right.
  bool class_token = false, correct_class_mask = false;
  Projection projection = Projection::kMatrix;
  TextClean clean = TextClean::kLower;
  std::string tokenizer_name;  // text_cfg.hf_tokenizer_name: its files must lie beside the model
};

struct ModelConfig {
  std::string name;          // the directory's last component, or "starter"
  std::string path;          // the directory
  std::string weights_file;  // where it was named; empty: what FindWeights finds there
  Layout layout = Layout::kHuggingFace;
  int embed_dim = 512;
  VisionConfig vision;
  TextConfig text;
  PreprocessSpec preprocess;
  std::vector<std::string> templates;  // the model's own prompt templates, if its files name any
  double logit_scale = 100.0;          // exp of the stored parameter
  double logit_bias = 0.0;
  // What in its files contradicts its name, in sentences (models/config/name_check.h).
  std::vector<std::string> warnings;
};

// Reads the configuration in a directory, or of a file of weights in one. Errors name the file and
// the field.
Result<ModelConfig> ReadModelConfig(const std::string& path);
// Errors name the file that is missing, or what is wrong in it.
Result<std::unique_ptr<Weights>> OpenWeights(const ModelConfig& config);

}  // namespace cliptag
