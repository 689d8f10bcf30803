// Files that contradict a model's name, and no false alarm at any name that models/README.md lists.
#include "models/config/name_check.h"

#include "models/config/reader.h"
#include "tests/models/model_test.h"

namespace cliptag {
namespace {

struct Published {
  const char* name;
  int patch, size;
  Activation activation;
  float mean;  // of the first channel
};

constexpr Activation kQuick = Activation::kQuickGelu, kPlain = Activation::kGelu;
constexpr float kClip = 0.48145466f, kHalf = 0.5f;

ModelConfig ConfigOf(const Published& published) {
  ModelConfig config;
  config.name = published.name;
  VitConfig vit;
  vit.patch_size = published.patch;
  vit.transformer.activation = published.activation;
  config.vision = vit;
  config.preprocess.size = published.size;
  config.text.transformer.activation = published.activation;
  SetClipMeanAndStd(&config.preprocess);
  if (published.mean == kHalf) {
    std::fill_n(config.preprocess.mean, 3, kHalf);
    std::fill_n(config.preprocess.std, 3, kHalf);
  }
  return config;
}

// As their files on the hub say, under the names that directories get.
constexpr Published kPublished[] = {
    {"timm--vit_base_patch32_clip_224.openai", 32, 224, kQuick, kClip},
    {"laion--CLIP-ViT-B-32-DataComp.XL-s13B-b90K", 32, 224, kPlain, kClip},
    {"CLIP-ViT-B-32-256x256-DataComp-s34B-b86K", 32, 256, kPlain, kClip},
    {"vit_base_patch16_clip_224.openai", 16, 224, kQuick, kClip},
    {"CLIP-ViT-B-16-DataComp.XL-s13B-b90K", 16, 224, kPlain, kClip},
    {"CLIP-ViT-L-14-DataComp.XL-s13B-b90K", 14, 224, kPlain, kClip},
    {"timm--vit_large_patch14_clip_336.openai", 14, 336, kQuick, kClip},
    {"openai--clip-vit-base-patch32", 32, 224, kQuick, kClip},
    {"openai--clip-vit-large-patch14-336", 14, 336, kQuick, kClip},
    {"wkcn--TinyCLIP-ViT-8M-16-Text-3M-YFCC15M", 16, 224, kPlain, kClip},
    {"TinyCLIP-ViT-40M-32-Text-19M-LAION400M", 32, 224, kQuick, kClip},
    {"vit_base_patch32_clip_quickgelu_224.laion400m_e32", 32, 224, kQuick, kClip},
    {"CLIP-ViT-L-14-laion2B-s32B-b82K", 14, 224, kPlain, kHalf},
    {"CLIP-ViT-H-14-laion2B-s32B-b79K", 14, 224, kPlain, kClip},
    {"CLIP-ViT-bigG-14-laion2B-39B-b160k", 14, 224, kPlain, kClip},
    {"DFN5B-CLIP-ViT-H-14-378", 14, 378, kQuick, kClip},
    {"timm--ViT-B-16-SigLIP", 16, 224, kPlain, kHalf},
    {"timm--ViT-B-16-SigLIP-512", 16, 512, kPlain, kHalf},
    {"timm--ViT-SO400M-14-SigLIP-384", 14, 384, kPlain, kHalf},
    {"google--siglip-base-patch16-224", 16, 224, kPlain, kHalf},
    {"ViT-B-32", 32, 224, kQuick, kClip},
    {"ViT-L-14-336px", 14, 336, kQuick, kClip},
    {"vit-b-32", 32, 224, kPlain, kClip},
    {"starter", 16, 112, kPlain, kClip},
    {"my-vit-512", 32, 224, kPlain, kHalf},
};

TEST(NameCheckTest, NoFalseAlarm) {
  for (const Published& published : kPublished) {
    for (const std::string& warning : NameContradictions(ConfigOf(published))) {
      ADD_FAILURE() << published.name << ": " << warning;
    }
  }
}

TEST(NameCheckTest, ResNetsHaveAnActivationOfTheirOwn) {
  ModelConfig config = ConfigOf({"resnet50_clip_224.openai", 1, 224, kPlain, kClip});
  config.vision = ResNetConfig();
  config.text.transformer.activation = kQuick;
  EXPECT_TRUE(NameContradictions(config).empty());
  config.text.transformer.activation = kPlain;
  EXPECT_EQ(NameContradictions(config).size(), 1u);
}

void ExpectWarning(const Published& wrong, const std::vector<std::string>& parts) {
  SCOPED_TRACE(wrong.name);
  const auto warnings = NameContradictions(ConfigOf(wrong));
  ASSERT_EQ(warnings.size(), 1u);
  EXPECT_EQ(warnings[0].back(), '.');
  EXPECT_NE(warnings[0].find(wrong.name), std::string::npos) << warnings[0];
  for (const std::string& part : parts) {
    EXPECT_NE(warnings[0].find(part), std::string::npos) << part << " is not in " << warnings[0];
  }
}

TEST(NameCheckTest, Activation) {
  ExpectWarning({"vit_base_patch32_clip_224.openai", 32, 224, kPlain, kClip},
                {"OpenAI's", "\"quick_gelu\": true", "hidden_act"});
  ExpectWarning({"ViT-H-14-quickgelu", 14, 224, kPlain, kClip}, {"QuickGELU"});
  ExpectWarning({"CLIP-ViT-B-32-laion2B-s34B-b79K", 32, 224, kQuick, kClip},
                {"LAION", "\"quick_gelu\": false"});
  ExpectWarning({"CLIP-ViT-B-16-DataComp.XL-s13B-b90K", 16, 224, kQuick, kClip}, {"DataComp"});
  // One tower of two is wrong, too.
  ModelConfig config = ConfigOf({"x.openai", 32, 224, kQuick, kClip});
  config.text.transformer.activation = kPlain;
  EXPECT_EQ(NameContradictions(config).size(), 1u);
}

TEST(NameCheckTest, Pixels) {
  ExpectWarning({"timm--ViT-B-16-SigLIP", 16, 224, kPlain, kClip},
                {"SigLIP", "0.481, 0.458, 0.408", "not 0.500"});
  ExpectWarning({"vit_base_patch16_clip_224.openai", 16, 224, kQuick, kHalf}, {"OpenAI's mean"});
  ModelConfig config = ConfigOf({"ViT-B-16-SigLIP", 16, 224, kPlain, kHalf});
  config.preprocess.std[1] = 0.27f;
  EXPECT_EQ(NameContradictions(config).size(), 1u);
}

TEST(NameCheckTest, Geometry) {
  ExpectWarning({"vit_large_patch14_clip_336.openai", 14, 224, kQuick, kClip},
                {"336 pixels", "224"});
  ExpectWarning({"ViT-L-14-336px", 14, 224, kQuick, kClip}, {"336"});
  ExpectWarning({"CLIP-ViT-B-32-256x256-DataComp-s34B-b86K", 32, 224, kPlain, kClip}, {"256"});
  ExpectWarning({"vit_base_patch16_clip_224.openai", 32, 224, kQuick, kClip},
                {"patches of 16", "32"});
  ExpectWarning({"ViT-B-32", 16, 224, kQuick, kClip}, {"patches of 32"});
}

TEST(NameCheckTest, ReadWithTheConfiguration) {
  TempDir dir;
  const std::string model = dir.File("models--openai--clip-vit-base-patch16/snapshots/0123abcd");
  std::filesystem::create_directories(model);
  const std::string inside = "models--openai--clip-vit-base-patch16/snapshots/0123abcd/";
  dir.Write(inside + "config.json", R"({"model_type": "clip"})");  // the defaults: B/32
  const ModelConfig config = Must(ReadModelConfig(model));
  EXPECT_EQ(config.name, "openai--clip-vit-base-patch16");
  ASSERT_EQ(config.warnings.size(), 1u);
  EXPECT_NE(config.warnings[0].find("patches of 16"), std::string::npos);
}

}  // namespace
}  // namespace cliptag
