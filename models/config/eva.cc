// EVA's image towers, which open_clip takes from timm (timm.models.eva) by names that stand for all
// that is to be known of them.
#include <string_view>

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

const EvaTower* Find(std::string_view name) {
  for (const EvaTower& tower : kEvaTowers) {
    if (name == tower.name) return &tower;
  }
  return nullptr;
}

// Angles for rows and for columns, of pairs of a head's columns.
void CheckRope(const TransformerConfig& t, FieldReader* arguments) {
  if (t.width % t.heads == 0 && t.head_dim() % 4 == 0) return;
  arguments->Fail(StatusCode::kDataLoss, "num_heads",
                  "is " + std::to_string(t.heads) + ", which makes no heads of a width of " +
                      std::to_string(t.width) + " that rotary positions can be for");
}

}  // namespace

bool IsEvaVision(const std::string& timm_name) { return Find(timm_name) != nullptr; }

void ReadEvaVision(FieldReader* vision, const std::string& file, Status* status,
                   VisionConfig* out) {
  const std::string name = vision->String("timm_model_name", "");
  const EvaTower& tower = *Find(name);
  // The head is timm's own: null is no name of a projection.
  if (vision->String("timm_pool", "avg") != "token" || vision->Has("timm_proj")) {
    vision->Fail(StatusCode::kUnsupported, "timm_model_name",
                 "is \"" + name +
                     "\" without timm_pool \"token\" and timm_proj null, as EVA's CLIPs have them");
    return;
  }
  FieldReader arguments(vision->Get("timm_kwargs"), file, "vision_cfg.timm_kwargs.", status);
  TransformerConfig& t = out->transformer;
  t.width = arguments.Int("embed_dim", tower.width);
  t.layers = arguments.Int("depth", tower.layers);
  t.heads = arguments.Int("num_heads", tower.heads);
  const double ratio = arguments.Number("mlp_ratio", tower.mlp_ratio);
  if (!(ratio > 0 && ratio <= 64)) {
    arguments.Fail(StatusCode::kDataLoss, "mlp_ratio", "makes no sense");
    return;
  }
  t.mlp_width = static_cast<int>(t.width * ratio);  // the reference rounds down too
  t.activation = Activation::kGelu;
  t.layer_norm_eps = 1e-6f;
  t.post_norm = tower.kind == EvaKind::kPost;
  out->image_size = vision->Square("image_size", 224);
  out->patch_size = arguments.Int("patch_size", tower.patch);
  out->patch_bias = out->timm = out->eva = true;
  out->pre_norm = false;
  if (tower.kind == EvaKind::kSecond) {
    t.gated_mlp = t.inner_norms = true;
    out->rope.reference = arguments.Int("ref_feat_shape", 16);
    CheckRope(t, &arguments);
  }
  arguments.RefuseOthers({});
}

}  // namespace cliptag
