// Image towers that open_clip takes from timm: what SigLIP's names stand for there
// (timm.models.vision_transformer), since open_clip_config.json says nothing else about them. Other
// families that load have files of their own.
#include <utility>

#include "models/config/reader.h"

namespace cliptag {
namespace {

struct SiglipTower {
  const char* name;
  int patch, width, layers, heads;
  double mlp_ratio;
  bool tanh;  // GELU approximated by tanh; SigLIP 1's names have the exact one
};
constexpr SiglipTower kSiglipTowers[] = {
    {"vit_base_patch32_siglip_256", 32, 768, 12, 12, 4, true},
    {"vit_base_patch16_siglip_224", 16, 768, 12, 12, 4, false},
    {"vit_base_patch16_siglip_256", 16, 768, 12, 12, 4, false},
    {"vit_base_patch16_siglip_384", 16, 768, 12, 12, 4, false},
    {"vit_base_patch16_siglip_512", 16, 768, 12, 12, 4, false},
    {"vit_large_patch16_siglip_256", 16, 1024, 24, 16, 4, false},
    {"vit_large_patch16_siglip_384", 16, 1024, 24, 16, 4, false},
    {"vit_large_patch16_siglip_512", 16, 1024, 24, 16, 4, true},
    {"vit_so400m_patch14_siglip_224", 14, 1152, 27, 16, 3.7362, false},
    {"vit_so400m_patch14_siglip_378", 14, 1152, 27, 16, 3.7362, false},
    {"vit_so400m_patch14_siglip_384", 14, 1152, 27, 16, 3.7362, false},
    {"vit_so400m_patch16_siglip_256", 16, 1152, 27, 16, 3.7362, true},
    {"vit_so400m_patch16_siglip_384", 16, 1152, 27, 16, 3.7362, true},
    {"vit_so400m_patch16_siglip_512", 16, 1152, 27, 16, 3.7362, true},
    {"vit_giantopt_patch16_siglip_256", 16, 1536, 40, 16, 4, true},
    {"vit_giantopt_patch16_siglip_384", 16, 1536, 40, 16, 4, true},
};

// What a name belongs to, so that a refusal says it in a user's words.
struct Family {
  const char *prefix, *name;
};
constexpr Family kOtherFamilies[] = {
    {"eva", "EVA"},           {"fastvit", "other FastViT"},
    {"vitamin", "ViTamin"},   {"vit_pe_core", "Perception Encoder"},
    {"convnext", "ConvNeXt"}, {"swin", "Swin"}};

}  // namespace

void CheckTimmHead(FieldReader* vision, const char* pool, const std::string& proj,
                   const char* family) {
  if (vision->String("timm_pool", "avg") == pool && vision->String("timm_proj", "") == proj) return;
  vision->Fail(StatusCode::kUnsupported, "timm_model_name",
               "is " + vision->Get("timm_model_name").dump() + " without timm_pool \"" + pool +
                   "\" and timm_proj " + (proj.empty() ? "null" : '"' + proj + '"') + ", as " +
                   family + " them");
}

TransformerConfig ReadTimmTransformer(FieldReader* arguments, int width, int layers, int heads,
                                      double mlp_ratio) {
  TransformerConfig t;
  t.width = arguments->Int("embed_dim", width);
  t.layers = arguments->Int("depth", layers);
  t.heads = arguments->Int("num_heads", heads);
  t.mlp_width = ReadMlpWidth(arguments, t.width, mlp_ratio);
  t.layer_norm_eps = 1e-6f;
  return t;
}

std::optional<VisionConfig> ReadSiglip(FieldReader* vision, FieldReader* arguments) {
  const SiglipTower* tower = FindTimm(kSiglipTowers, vision);
  if (tower == nullptr) return std::nullopt;
  CheckTimmHead(vision, "map", "none", "SigLIP has");
  VitConfig out;
  out.transformer =
      ReadTimmTransformer(arguments, tower->width, tower->layers, tower->heads, tower->mlp_ratio);
  const std::string activation = arguments->String("act_layer", tower->tanh ? "gelu_tanh" : "gelu");
  if (activation != "gelu" && activation != "gelu_tanh") {
    arguments->Fail(StatusCode::kUnsupported, "act_layer",
                    "is \"" + activation + "\"; gelu and gelu_tanh are supported");
  }
  out.transformer.activation = activation == "gelu" ? Activation::kGelu : Activation::kTanhGelu;
  out.image_size = vision->Square("image_size", 224);
  out.patch_size = arguments->Int("patch_size", tower->patch);
  out.patch_bias = true;
  out.pre_norm = out.class_token = false;
  out.attention_pool = AttentionPool::kProbe;
  out.naming = VitNaming::kTimm;
  return out;
}

VisionConfig ReadTimmVision(FieldReader* vision, const std::string& file, Status* status) {
  const std::string name = vision->String("timm_model_name", "");
  FieldReader arguments(vision->Get("timm_kwargs"), file, "vision_cfg.timm_kwargs.", status);
  for (auto* const read : {ReadSiglip, ReadEva, ReadMobileClip}) {
    if (std::optional<VisionConfig> tower = read(vision, &arguments)) {
      arguments.RefuseOthers();
      return *std::move(tower);
    }
  }
  std::string family = "timm's";
  for (const Family& other : kOtherFamilies) {
    if (name.starts_with(other.prefix)) family = other.name;
  }
  vision->Fail(StatusCode::kUnsupported, "timm_model_name",
               "is \"" + name + "\": " + family +
                   " image towers are not supported; of timm's, SigLIP's, MobileCLIP's and EVA's "
                   "CLIPs are");
  return {};
}

}  // namespace cliptag
