// Image towers that open_clip takes from timm: what SigLIP's names stand for there
// (timm.models.vision_transformer), since open_clip_config.json says nothing else about them. Other
// families that load have files of their own.
#include <string_view>

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

const SiglipTower* Find(std::string_view name) {
  for (const SiglipTower& tower : kSiglipTowers) {
    if (name == tower.name) return &tower;
  }
  return nullptr;
}

}  // namespace

void ReadTimmVision(FieldReader* vision, const std::string& file, Status* status,
                    VisionConfig* out) {
  const std::string name = vision->String("timm_model_name", "");
  if (IsEvaVision(name)) return ReadEvaVision(vision, file, status, out);
  if (ReadMobileClipVision(vision, file, status, out)) return;
  const SiglipTower* tower = Find(name);
  if (tower == nullptr) {
    std::string family = "timm's";
    for (const Family& other : kOtherFamilies) {
      if (name.starts_with(other.prefix)) family = other.name;
    }
    vision->Fail(StatusCode::kUnsupported, "timm_model_name",
                 "is \"" + name + "\": " + family +
                     " image towers are not supported; of timm's, SigLIP's, MobileCLIP's and EVA's "
                     "CLIPs are");
    return;
  }
  if (vision->String("timm_pool", "avg") != "map" ||
      vision->String("timm_proj", "linear") != "none") {
    vision->Fail(
        StatusCode::kUnsupported, "timm_model_name",
        "is \"" + name + "\" without timm_pool \"map\" and timm_proj \"none\", as SigLIP has them");
  }
  // Arguments of timm's constructor that take the name's place, as timm's create_model has it.
  FieldReader arguments(vision->Get("timm_kwargs"), file, "vision_cfg.timm_kwargs.", status);
  TransformerConfig& t = out->transformer;
  t.width = arguments.Int("embed_dim", tower->width);
  t.layers = arguments.Int("depth", tower->layers);
  t.heads = arguments.Int("num_heads", tower->heads);
  const double ratio = arguments.Number("mlp_ratio", tower->mlp_ratio);
  if (!(ratio > 0 && ratio <= 64)) {
    arguments.Fail(StatusCode::kDataLoss, "mlp_ratio", "makes no sense");
    return;
  }
  t.mlp_width = static_cast<int>(t.width * ratio);  // the reference rounds down too
  const std::string activation = arguments.String("act_layer", tower->tanh ? "gelu_tanh" : "gelu");
  if (activation != "gelu" && activation != "gelu_tanh") {
    arguments.Fail(StatusCode::kUnsupported, "act_layer",
                   "is \"" + activation + "\"; gelu and gelu_tanh are supported");
  }
  t.activation = activation == "gelu" ? Activation::kGelu : Activation::kTanhGelu;
  t.layer_norm_eps = 1e-6f;
  out->image_size = vision->Square("image_size", 224);
  out->patch_size = arguments.Int("patch_size", tower->patch);
  arguments.RefuseOthers({});
  out->patch_bias = true;
  out->pre_norm = out->class_token = false;
  out->attention_pool = AttentionPool::kProbe;
  out->timm = true;
}

}  // namespace cliptag
