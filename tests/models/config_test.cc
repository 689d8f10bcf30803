// Both layouts: the references' defaults, their precedence, and what is refused by name.
#include "tests/models/config_files.h"

namespace cliptag {
namespace {

ModelConfig ReadHf(const std::string& config, const std::string& preprocessor = "{}") {
  return Must(TryHf(config, preprocessor));
}

constexpr char kBareHf[] = R"({"model_type": "clip"})";

TEST(HuggingFaceConfigTest, DefaultsAreTransformers) {
  const ModelConfig config = ReadHf(kBareHf);
  EXPECT_EQ(config.layout, Layout::kHuggingFace);
  EXPECT_EQ(config.embed_dim, 512);
  EXPECT_EQ(Vit(config).image_size, 224);
  EXPECT_EQ(Vit(config).patch_size, 32);
  EXPECT_EQ(Vit(config).tokens(), 50);
  EXPECT_TRUE(Vit(config).pre_norm);
  const TransformerConfig& vision = Vit(config).transformer;
  EXPECT_EQ(vision.width, 768);
  EXPECT_EQ(vision.layers, 12);
  EXPECT_EQ(vision.heads, 12);
  EXPECT_EQ(vision.mlp_width, 3072);
  EXPECT_EQ(vision.activation, Activation::kQuickGelu);
  EXPECT_FLOAT_EQ(vision.layer_norm_eps, 1e-5f);
  const TransformerConfig& text = config.text.transformer;
  EXPECT_EQ(text.width, 512);
  EXPECT_EQ(text.heads, 8);
  EXPECT_EQ(text.mlp_width, 2048);
  EXPECT_EQ(text.activation, Activation::kQuickGelu);
  EXPECT_EQ(config.text.context_length, 77);
  EXPECT_EQ(config.text.vocab_size, 49408);
  EXPECT_EQ(config.text.eos_id, 49407);
  EXPECT_EQ(config.text.pooling, TextPooling::kEosId);
  EXPECT_TRUE(config.text.causal);
  EXPECT_EQ(config.preprocess.size, 224);
  EXPECT_EQ(config.preprocess.patch, 32);
  EXPECT_EQ(config.preprocess.fit, Fit::kCrop);
  EXPECT_EQ(config.preprocess.interpolation, Interpolation::kBicubic);
  EXPECT_FLOAT_EQ(config.preprocess.mean[0], 0.48145466f);
  EXPECT_FLOAT_EQ(config.preprocess.std[2], 0.27577711f);
  EXPECT_NEAR(config.logit_scale, 14.2846, 1e-3);
}

TEST(HuggingFaceConfigTest, TopLevelProjectionWins) {
  EXPECT_EQ(ReadHf(R"({"model_type": "clip", "projection_dim": 640,
                       "text_config": {"projection_dim": 1}, "vision_config": {"projection_dim": 2}})")
                .embed_dim,
            640);
  EXPECT_EQ(ReadHf(R"({"model_type": "clip", "vision_config": {"projection_dim": 2}})").embed_dim,
            512);
}

TEST(HuggingFaceConfigTest, LegacyEndTokenMeansArgmax) {
  EXPECT_EQ(ReadHf(R"({"model_type": "clip", "text_config": {"eos_token_id": 2}})").text.pooling,
            TextPooling::kArgmax);
}

TEST(HuggingFaceConfigTest, OldDictsAndTheirDefaultsWin) {
  const ModelConfig config = ReadHf(R"({"model_type": "clip",
      "text_config": {"hidden_size": 64, "num_hidden_layers": 3},
      "text_config_dict": {"hidden_size": 128},
      "vision_config": {"hidden_size": 96}, "vision_config_dict": null})");
  EXPECT_EQ(config.text.transformer.width, 128);
  EXPECT_EQ(config.text.transformer.layers, 12);  // the dict's default, not text_config's 3
  EXPECT_EQ(Vit(config).transformer.width, 96);
}

TEST(HuggingFaceConfigTest, EveryFieldIsHonoured) {
  const ModelConfig config =
      ReadHf(R"({"model_type": "clip", "projection_dim": 24,
      "logit_scale_init_value": 1.0,
      "text_config": {"hidden_size": 40, "intermediate_size": 50, "num_hidden_layers": 3,
        "num_attention_heads": 5, "max_position_embeddings": 16, "vocab_size": 1000,
        "hidden_act": "gelu", "layer_norm_eps": 0.001, "bos_token_id": 7, "eos_token_id": 8,
        "pad_token_id": 9},
      "vision_config": {"hidden_size": 60, "intermediate_size": 70, "num_hidden_layers": 4,
        "num_attention_heads": 6, "image_size": [48, 48], "patch_size": 12, "num_channels": 3}})",
             R"({"size": 48, "crop_size": {"height": 48, "width": 48}, "resample": 2,
          "image_mean": [0.1, 0.2, 0.3], "image_std": [0.4, 0.5, 0.6]})");
  EXPECT_EQ(config.embed_dim, 24);
  EXPECT_NEAR(config.logit_scale, 2.71828, 1e-4);
  EXPECT_EQ(config.text.transformer.head_dim(), 8);
  EXPECT_EQ(config.text.transformer.mlp_width, 50);
  EXPECT_EQ(config.text.transformer.activation, Activation::kGelu);
  EXPECT_FLOAT_EQ(config.text.transformer.layer_norm_eps, 0.001f);
  EXPECT_EQ(config.text.context_length, 16);
  EXPECT_EQ(config.text.bos_id, 7);
  EXPECT_EQ(config.text.eos_id, 8);
  EXPECT_EQ(config.text.pad_id, 9);
  EXPECT_EQ(Vit(config).transformer.activation, Activation::kQuickGelu);
  EXPECT_EQ(Vit(config).patches(), 16);
  EXPECT_EQ(config.preprocess.interpolation, Interpolation::kBilinear);
  EXPECT_FLOAT_EQ(config.preprocess.mean[1], 0.2f);
  EXPECT_FLOAT_EQ(config.preprocess.std[1], 0.5f);
}

TEST(HuggingFaceConfigTest, PreprocessorVariants) {
  EXPECT_EQ(ReadHf(kBareHf, R"({"size": {"height": 224, "width": 224}, "do_center_crop": false})")
                .preprocess.fit,
            Fit::kSquash);
  EXPECT_EQ(ReadHf(kBareHf, R"({"size": {"shortest_edge": 224}, "crop_size": 224})").preprocess.fit,
            Fit::kCrop);
  const PreprocessSpec raw = ReadHf(kBareHf, R"({"do_normalize": false})").preprocess;
  EXPECT_EQ(raw.mean[0], 0.0f);
  EXPECT_EQ(raw.std[0], 1.0f);
  // Pixels of 0..255 are normalised by a mean of 127.5: the same as 0.5 of 0..1.
  const PreprocessSpec unscaled =
      ReadHf(kBareHf, R"({"do_rescale": false, "image_mean": 127.5, "image_std": 51})").preprocess;
  EXPECT_FLOAT_EQ(unscaled.mean[2], 0.5f);
  EXPECT_FLOAT_EQ(unscaled.std[2], 0.2f);
  const PreprocessSpec usual =
      ReadHf(kBareHf, R"({"rescale_factor": 0.00392156862745098})").preprocess;
  EXPECT_EQ(usual.mean[0], 0.48145466f);
}

TEST(HuggingFaceConfigTest, NewProcessorFileAndNone) {
  TempDir dir;
  dir.Write("config.json", kBareHf);
  EXPECT_FLOAT_EQ(Must(ReadModelConfig(dir.path())).preprocess.mean[0], 0.48145466f);
  dir.Write("processor_config.json", R"({"image_processor": {"image_mean": [0.5, 0.5, 0.5]}})");
  EXPECT_EQ(Must(ReadModelConfig(dir.path())).preprocess.mean[0], 0.5f);
}

struct Refused {
  const char* config;
  StatusCode code;
  std::vector<std::string> named;
};

TEST(HuggingFaceConfigTest, RefusesByName) {
  const Refused cases[] = {
      {R"({"model_type": "blip"})", StatusCode::kUnsupported, {"model_type", "blip"}},
      {R"({})", StatusCode::kUnsupported, {"model_type"}},
      {R"([])", StatusCode::kDataLoss, {"config.json", "object"}},
      {R"({"model_type": "clip", "text_config": {"hidden_act": "silu"}})",
       StatusCode::kUnsupported,
       {"text_config.hidden_act", "silu"}},
      {R"({"model_type": "clip", "vision_config": {"num_channels": 4}})",
       StatusCode::kUnsupported,
       {"vision_config.num_channels", "4"}},
      {R"({"model_type": "clip", "vision_config": {"image_size": [224, 336]}})",
       StatusCode::kUnsupported,
       {"image_size", "336"}},
      {R"({"model_type": "clip", "vision_config": {"hidden_size": "768"}})",
       StatusCode::kDataLoss,
       {"vision_config.hidden_size", "768"}},
      {R"({"model_type": "clip", "vision_config": {"hidden_size": -1}})",
       StatusCode::kDataLoss,
       {"vision_config.hidden_size", "-1"}},
      {R"({"model_type": "clip", "vision_config": {"hidden_size": 1e300}})",
       StatusCode::kDataLoss,
       {"vision_config.hidden_size"}},
      {R"({"model_type": "clip", "vision_config": {"num_attention_heads": 7}})",
       StatusCode::kDataLoss,
       {"768", "7 heads"}},
      {R"({"model_type": "clip", "vision_config": {"patch_size": 300}})",
       StatusCode::kDataLoss,
       {"patch size 300"}},
      {R"({"model_type": "clip", "vision_config": 3})",
       StatusCode::kDataLoss,
       {"vision_config is not an object"}},
      {R"({"model_type": "clip")", StatusCode::kDataLoss, {"config.json:1:", "not valid JSON"}},
      {R"({"model_type": "clip", "model_type": "clip"})",
       StatusCode::kDataLoss,
       {"config.json:1:24", "model_type", "twice"}},
  };
  for (const Refused& refused : cases) {
    SCOPED_TRACE(refused.config);
    ExpectError(TryHf(refused.config), refused.code, refused.named);
  }
  const Refused preprocessors[] = {
      {R"({"resample": 1})", StatusCode::kUnsupported, {"preprocessor_config.json", "resample"}},
      {R"({"do_resize": false})", StatusCode::kUnsupported, {"do_resize"}},
      {R"({"size": {"longest_edge": 224}})", StatusCode::kUnsupported, {"size", "longest_edge"}},
      {R"({"size": 256, "crop_size": 224})", StatusCode::kUnsupported, {"size", "256", "224"}},
      {R"({"size": 336, "crop_size": 336})", StatusCode::kDataLoss, {"crop_size", "336", "224"}},
      {R"({"image_std": [0, 1, 1]})", StatusCode::kDataLoss, {"standard deviation"}},
      {R"({"image_mean": [0, 1]})", StatusCode::kDataLoss, {"image_mean"}},
      {R"({"rescale_factor": 0})", StatusCode::kDataLoss, {"rescale_factor"}},
  };
  for (const Refused& refused : preprocessors) {
    SCOPED_TRACE(refused.config);
    ExpectError(TryHf(kBareHf, refused.config), refused.code, refused.named);
  }
}

constexpr char kBareOpenClip[] =
    R"({"model_cfg": {"embed_dim": 512, "vision_cfg": {}, "text_cfg": {}}})";

TEST(OpenClipConfigTest, DefaultsAreOpenClips) {
  const ModelConfig config = Must(TryOpenClip(kBareOpenClip));
  EXPECT_EQ(config.layout, Layout::kOpenClip);
  EXPECT_EQ(Vit(config).transformer.width, 768);
  EXPECT_EQ(Vit(config).transformer.heads, 12);
  EXPECT_EQ(Vit(config).transformer.mlp_width, 3072);
  EXPECT_EQ(Vit(config).transformer.activation, Activation::kGelu);
  EXPECT_EQ(Vit(config).patch_size, 16);
  EXPECT_EQ(Vit(config).image_size, 224);
  EXPECT_TRUE(Vit(config).pre_norm);
  EXPECT_FALSE(Vit(config).average_pool);
  EXPECT_FALSE(Vit(config).final_norm_after_pool);
  EXPECT_EQ(config.text.transformer.width, 512);
  EXPECT_EQ(config.text.transformer.heads, 8);
  EXPECT_EQ(config.text.context_length, 77);
  EXPECT_EQ(config.text.pooling, TextPooling::kArgmax);
  EXPECT_EQ(config.text.projection, Projection::kMatrix);
  EXPECT_EQ(config.text.clean, TextClean::kLower);
  EXPECT_TRUE(config.text.causal);
  EXPECT_EQ(config.preprocess.fit, Fit::kCrop);
  EXPECT_EQ(config.preprocess.interpolation, Interpolation::kBicubic);
  EXPECT_FLOAT_EQ(config.preprocess.mean[0], 0.48145466f);
  EXPECT_NEAR(config.logit_scale, 1 / 0.07, 1e-6);
  // The bare model configuration without model_cfg is the same.
  EXPECT_EQ(Must(TryOpenClip(R"({"embed_dim": 640, "vision_cfg": {}, "text_cfg": {}})")).embed_dim,
            640);
}

TEST(OpenClipConfigTest, EveryFieldIsHonoured) {
  const ModelConfig config = Must(TryOpenClip(R"({"model_cfg": {"embed_dim": 48, "quick_gelu": true,
      "init_logit_bias": -10, "init_logit_scale": 2.0,
      "vision_cfg": {"width": 80, "head_width": 40, "layers": 5, "mlp_ratio": 4.9231,
        "image_size": [56, 56], "patch_size": [14, 14], "no_ln_pre": true, "pool_type": "avg",
        "final_ln_after_pool": true, "ls_init_value": 0.1, "norm_kwargs": {"eps": 0.002},
        "pos_embed_type": "sin_cos_2d", "patch_dropout": 0.5, "timm_model_name": null},
      "text_cfg": {"width": 60, "heads": 6, "layers": 2, "context_length": 32, "vocab_size": 600,
        "pool_type": "eos", "eos_id": 5, "no_causal_mask": true, "proj_bias": true, "pad_id": 3,
        "tokenizer_kwargs": {"clean": "canonicalize"}, "hf_tokenizer_name": "some/one",
        "act_kwargs": {"approximate": "none"}}},
      "preprocess_cfg": {"size": 999, "mean": [0.1, 0.2, 0.3], "std": 0.5,
        "interpolation": "bilinear", "resize_mode": "longest", "fill_color": 51}})"));
  EXPECT_EQ(Vit(config).transformer.heads, 2);
  EXPECT_EQ(Vit(config).transformer.mlp_width, 393);  // 393.848, rounded down
  EXPECT_EQ(Vit(config).transformer.activation, Activation::kQuickGelu);
  EXPECT_FLOAT_EQ(Vit(config).transformer.layer_norm_eps, 0.002f);
  EXPECT_TRUE(Vit(config).transformer.layer_scale);
  EXPECT_FALSE(Vit(config).pre_norm);
  EXPECT_TRUE(Vit(config).average_pool);
  EXPECT_TRUE(Vit(config).final_norm_after_pool);
  EXPECT_EQ(Vit(config).patches(), 16);
  EXPECT_EQ(config.text.pooling, TextPooling::kEosId);
  EXPECT_EQ(config.text.eos_id, 5);
  EXPECT_EQ(config.text.pad_id, 3);
  EXPECT_FALSE(config.text.causal);
  EXPECT_EQ(config.text.projection, Projection::kLinear);
  EXPECT_EQ(config.text.clean, TextClean::kCanonicalize);
  EXPECT_EQ(config.text.tokenizer_name, "some/one");
  EXPECT_EQ(config.preprocess.size, 56);  // the image tower's wins
  EXPECT_EQ(config.preprocess.fit, Fit::kLetterbox);
  EXPECT_EQ(config.preprocess.interpolation, Interpolation::kBilinear);
  EXPECT_FLOAT_EQ(config.preprocess.mean[2], 0.3f);
  EXPECT_FLOAT_EQ(config.preprocess.std[0], 0.5f);
  EXPECT_FLOAT_EQ(config.preprocess.fill[1], 0.2f);
  EXPECT_EQ(config.logit_bias, -10);
  EXPECT_NEAR(config.logit_scale, 7.389, 1e-3);
}

TEST(OpenClipConfigTest, ListsOfLayersAreResNets) {
  const ModelConfig config = Must(TryOpenClip(R"({"embed_dim": 640, "vision_cfg": {
      "image_size": 288, "layers": [4, 6, 10, 6], "width": 80, "patch_size": null}, "text_cfg": {}})"));
  const auto& resnet = std::get<ResNetConfig>(config.vision);
  EXPECT_EQ(std::vector<int>(resnet.layers, resnet.layers + 4), (std::vector<int>{4, 6, 10, 6}));
  EXPECT_EQ(resnet.width, 80);
  EXPECT_EQ(resnet.features(), 2560);
  EXPECT_EQ(resnet.heads, 40);
  EXPECT_EQ(config.preprocess.size, 288);
  EXPECT_EQ(config.preprocess.patch, 1) << "it is given pixels";
  const ModelConfig other = Must(TryOpenClip(R"({"embed_dim": 640, "vision_cfg": {
      "layers": [1, 1, 1, 1], "width": 16, "head_width": 32}, "text_cfg": {}})"));
  EXPECT_EQ(other.preprocess.size, 224);
  EXPECT_EQ(std::get<ResNetConfig>(other.vision).heads, 16);
  const ModelConfig bare = Must(TryOpenClip(R"({"embed_dim": 640, "vision_cfg": {
      "layers": [1, 1, 1, 1]}, "text_cfg": {}})"));
  EXPECT_EQ(std::get<ResNetConfig>(bare.vision).width, 768) << "whatever the tower";
}

TEST(OpenClipConfigTest, RefusesByName) {
  const struct {
    std::string config;
    StatusCode code;
    std::vector<std::string> named;
  } cases[] = {
      {Vision(R"("layers": [3, 4, 6])"), StatusCode::kDataLoss, {"vision_cfg.layers", "four"}},
      {Vision(R"("layers": [3, 4, 6, 3, 1])"),
       StatusCode::kDataLoss,
       {"vision_cfg.layers", "four"}},
      {Vision(R"("layers": [3, 4, 0, 3])"), StatusCode::kDataLoss, {"vision_cfg.layers", "is 0"}},
      {Vision(R"("layers": [3, 4, "6", 3])"), StatusCode::kDataLoss, {"vision_cfg.layers"}},
      {Vision(R"("layers": [3, 4, 6, 3], "width": 64, "head_width": 4000)"),
       StatusCode::kDataLoss,
       {"vision_cfg.head_width", "4000", "2048"}},
      {Vision(R"("layers": [3, 4, 6, 3], "width": 64, "head_width": 300)"),
       StatusCode::kDataLoss,
       {"vision_cfg.head_width", "300", "2048"}},
      {Vision(R"("layers": [3, 4, 6, 3], "width": 64, "image_size": 31)"),
       StatusCode::kDataLoss,
       {"vision_cfg.image_size", "31"}},
      {Vision(R"("layers": [3, 4, 6, 3], "width": 64, "image_size": 255)"),
       StatusCode::kDataLoss,
       {"vision_cfg.image_size", "255", "multiples of 32"}},
      {Vision(R"("layers": [3, 4, 6, 3], "width": 64, "image_size": [224, 448])"),
       StatusCode::kUnsupported,
       {"vision_cfg.image_size", "squares"}},
      {Vision(R"("qk_norm": true)"), StatusCode::kUnsupported, {"vision_cfg.qk_norm"}},
      {Vision(R"("block_type": "custom")"), StatusCode::kUnsupported, {"block_type", "custom"}},
      {Vision(R"("pool_type": "none")"), StatusCode::kUnsupported, {"vision_cfg.pool_type"}},
      {Vision(R"("pos_embed_type": "rope")"), StatusCode::kUnsupported, {"pos_embed_type", "rope"}},
      {Vision(R"("image_size": 16000000, "patch_size": 16)"),
       StatusCode::kDataLoss,
       {"image size 16000000", "1000000 patches a side"}},
      {Vision(R"("layers": [3, 4, 6, 3], "width": 64, "image_size": 3200000)"),
       StatusCode::kDataLoss,
       {"image size 3200000", "100000 patches a side"}},
      {Vision(R"("head_width": 1000)"), StatusCode::kDataLoss, {"vision_cfg.head_width"}},
      {Vision(R"("head_width": 100)"), StatusCode::kDataLoss, {"768", "7 heads"}},
      {Vision(R"("mlp_ratio": 0)"), StatusCode::kDataLoss, {"vision_cfg.mlp_ratio"}},
      {Text(R"("hf_model_name": "roberta-base")"), StatusCode::kUnsupported, {"hf_model_name"}},
      {Text(R"("pool_type": "none")"), StatusCode::kUnsupported, {"text_cfg.pool_type"}},
      {Text(R"("proj_type": "mlp")"), StatusCode::kUnsupported, {"proj_type", "mlp"}},
      {Text(R"("proj_type": "none", "width": 256)"), StatusCode::kDataLoss, {"proj_type", "256"}},
      {Text(R"("tokenizer_kwargs": {"clean": "x"})"),
       StatusCode::kUnsupported,
       {"tokenizer_kwargs.clean"}},
      {R"({"model_cfg": {"vision_cfg": {}, "text_cfg": {}}})",
       StatusCode::kDataLoss,
       {"embed_dim"}},
      {R"({"model_cfg": {"embed_dim": 512, "text_cfg": {}}})",
       StatusCode::kDataLoss,
       {"vision_cfg"}},
      {R"({"model_cfg": {"embed_dim": 512, "vision_cfg": {}, "text_cfg": {}},
           "preprocess_cfg": {"resize_mode": "fill"}})",
       StatusCode::kUnsupported,
       {"preprocess_cfg.resize_mode", "fill"}},
      {R"({"model_cfg": {"embed_dim": 512, "vision_cfg": {}, "text_cfg": {}},
           "preprocess_cfg": {"interpolation": "nearest"}})",
       StatusCode::kUnsupported,
       {"preprocess_cfg.interpolation", "nearest"}},
      {R"({"model_cfg": {"embed_dim": 512, "vision_cfg": {}, "text_cfg": {}},
           "preprocess_cfg": {"mean": [0, 1e300, 0]}})",
       StatusCode::kDataLoss,
       {"mean of the pixels"}},
      {R"({"model_cfg": {"embed_dim": 512, "vision_cfg": {}, "text_cfg": {}},
           "preprocess_cfg": {"std": [1, 1, 1e300]}})",
       StatusCode::kDataLoss,
       {"standard deviation of the pixels"}},
  };
  for (const auto& refused : cases) {
    SCOPED_TRACE(refused.config);
    ExpectError(TryOpenClip(refused.config), refused.code, refused.named);
  }
}

}  // namespace
}  // namespace cliptag
