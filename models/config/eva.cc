// EVA's image towers, which open_clip takes from timm (timm.models.eva) by names that stand for all
// that is to be known of them.
#include "models/config/reader.h"

namespace cliptag {
namespace {

enum class EvaKind : uint8_t {
  kFirst,   // EVA: a plain transformer with queries' and values' biases alone
  kSecond,  // EVA02: rotary positions, a gated MLP, norms within a block
  kPost,    // EVA02's largest: as EVA, with norms after a block's parts
};

struct EvaTower {
  const char* name;
  EvaKind kind;
  int patch, width, layers, heads;
  double mlp_ratio;
};
constexpr EvaTower kEvaTowers[] = {
    {"eva_giant_patch14_224", EvaKind::kFirst, 14, 1408, 40, 16, 6144.0 / 1408},
    {"eva_giant_patch14_336", EvaKind::kFirst, 14, 1408, 40, 16, 6144.0 / 1408},
    {"eva_giant_patch14_clip_224", EvaKind::kFirst, 14, 1408, 40, 16, 6144.0 / 1408},
    {"eva02_base_patch16_clip_224", EvaKind::kSecond, 16, 768, 12, 12, 4.0 * 2 / 3},
    {"eva02_large_patch14_clip_224", EvaKind::kSecond, 14, 1024, 24, 16, 4.0 * 2 / 3},
    {"eva02_large_patch14_clip_336", EvaKind::kSecond, 14, 1024, 24, 16, 4.0 * 2 / 3},
    {"eva02_enormous_patch14_clip_224", EvaKind::kPost, 14, 1792, 64, 16, 15360.0 / 1792},
};

}  // namespace

std::optional<VisionConfig> ReadEva(FieldReader* vision, FieldReader* arguments) {
  const EvaTower* tower = FindTimm(kEvaTowers, vision);
  if (tower == nullptr) return std::nullopt;
  CheckTimmHead(vision, "token", "", "EVA's CLIPs have");
  VitConfig out;
  TransformerConfig& t = out.transformer;
  t = ReadTimmTransformer(arguments, tower->width, tower->layers, tower->heads, tower->mlp_ratio);
  t.post_norm = tower->kind == EvaKind::kPost;
  out.image_size = vision->Square("image_size", 224);
  out.patch_size = arguments->Int("patch_size", tower->patch);
  out.patch_bias = true;
  out.pre_norm = false;
  out.naming = VitNaming::kEva;
  if (tower->kind == EvaKind::kSecond) {
    t.gated_mlp = t.inner_norms = true;
    out.rope_reference = arguments->Int("ref_feat_shape", 16);
    out.naming = VitNaming::kEva02;
    if (t.width % t.heads != 0 || t.head_dim() % 4 != 0) {  // angles for rows and for columns
      arguments->Fail(StatusCode::kDataLoss, "num_heads",
                      "is " + std::to_string(t.heads) + ", which makes no heads of a width of " +
                          std::to_string(t.width) + " that rotary positions can be for");
    }
  }
  return out;
}

}  // namespace cliptag
