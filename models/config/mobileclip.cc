// The image towers of MobileCLIP and MobileCLIP 2, which open_clip takes from timm: what their
// names stand for there (timm.models.fastvit, vision_transformer_hybrid, vision_transformer), since
// open_clip_config.json says nothing else about them.
#include <initializer_list>
#include <string>

#include "models/config/reader.h"

namespace cliptag {
namespace {

struct FastVitTower {
  const char* name;
  std::initializer_list<int> layers;
  int width;    // of the first stage, doubled by each after it
  bool second;  // MobileCLIP 2's own: five stages, two of attention, layer norms, no squeezing
};
const FastVitTower kFastVitTowers[] = {
    {"fastvit_mci0", {2, 6, 10, 2}, 64, false},     {"fastvit_mci1", {4, 12, 20, 4}, 64, false},
    {"fastvit_mci2", {4, 12, 24, 4}, 80, false},    {"fastvit_mci3", {2, 12, 24, 4, 2}, 96, true},
    {"fastvit_mci4", {2, 12, 24, 4, 4}, 128, true},
};

struct VitTower {
  const char* name;
  int patch, width, layers, heads;
  bool conv_stem;
};
constexpr VitTower kVitTowers[] = {
    {"vit_base_mci_224", 16, 768, 12, 12, true},
    {"vit_large_patch14_clip_224", 14, 1024, 24, 16, false},
};

FastVitConfig ReadFastVit(const FastVitTower& tower, FieldReader* vision, FieldReader* arguments) {
  CheckTimmHead(vision, "avg", "", "MobileCLIP has");
  FastVitConfig fast;
  fast.image_size = vision->Square("image_size", 224);
  for (const char* list : {"layers", "embed_dims"}) {
    const Json& value = arguments->Get(list);
    if (value.is_null() || (value.is_array() && value.size() == tower.layers.size())) continue;
    arguments->Fail(StatusCode::kDataLoss, list,
                    "is " + value.dump() + "; this tower takes a number for each of its " +
                        std::to_string(tower.layers.size()) + " stages");
    return fast;
  }
  size_t stage = 0;
  int width = tower.width;
  for (const int layers : tower.layers) {
    FastVitConfig::Stage one;
    one.layers = arguments->Has("layers") ? arguments->Element("layers", stage) : layers;
    one.width = arguments->Has("embed_dims") ? arguments->Element("embed_dims", stage) : width;
    one.attention = stage >= 3;
    one.squeeze = !tower.second && stage >= 2;
    fast.stages.push_back(one);
    width *= 2;
    ++stage;
  }
  for (const FastVitConfig::Stage& one : fast.stages) {
    if (!one.attention || one.width % FastVitConfig::kHeadWidth == 0) continue;
    arguments->Fail(StatusCode::kDataLoss, "embed_dims",
                    "has stages of attention of a width of " + std::to_string(one.width) +
                        ", which is no multiple of " + std::to_string(FastVitConfig::kHeadWidth));
  }
  fast.mlp_ratio = tower.second ? 4 : 3;
  fast.layer_norm = tower.second;
  fast.stem_scale = !tower.second;
  return fast;
}

VitConfig ReadVit(const VitTower& tower, FieldReader* vision, FieldReader* arguments) {
  CheckTimmHead(vision, "token", "", "MobileCLIP has");
  VitConfig out;
  out.image_size = vision->Square("image_size", 224);
  TransformerConfig& t = out.transformer;
  t = ReadTimmTransformer(arguments, tower.width, tower.layers, tower.heads, 4);
  if (!tower.conv_stem) t.layer_norm_eps = 1e-5f;
  out.conv_stem = tower.conv_stem;
  out.class_position = out.pre_norm = !tower.conv_stem;
  out.patch_size = tower.conv_stem ? tower.patch : arguments->Int("patch_size", tower.patch);
  out.naming = VitNaming::kTimm;
  if (tower.conv_stem && t.width % 4 != 0) {
    arguments->Fail(StatusCode::kDataLoss, "embed_dim",
                    "is " + std::to_string(t.width) + ", which is no multiple of 4");
  }
  return out;
}

}  // namespace

std::optional<VisionConfig> ReadMobileClip(FieldReader* vision, FieldReader* arguments) {
  const FastVitTower* fast = FindTimm(kFastVitTowers, vision);
  if (fast != nullptr) return ReadFastVit(*fast, vision, arguments);
  const VitTower* vit = FindTimm(kVitTowers, vision);
  if (vit != nullptr) return ReadVit(*vit, vision, arguments);
  return std::nullopt;
}

}  // namespace cliptag
