// The configurations of SigLIP, CoCa and timm's towers: what they stand for, and what is refused by
// name.
#include "tests/models/config_files.h"

namespace cliptag {
namespace {

TEST(FamilyConfigTest, SiglipsDefaultsAreTransformers) {
  const ModelConfig config = Must(TryHf(R"({"model_type": "siglip",
      "text_config": {"model_type": "siglip_text_model"}, "vision_config": {"image_size": 384}})"));
  EXPECT_EQ(config.embed_dim, 768);
  EXPECT_EQ(Vit(config).patch_size, 16);
  EXPECT_EQ(Vit(config).tokens(), 576);
  EXPECT_EQ(Vit(config).transformer.width, 768);
  EXPECT_EQ(Vit(config).transformer.activation, Activation::kTanhGelu);
  EXPECT_FLOAT_EQ(Vit(config).transformer.layer_norm_eps, 1e-6f);
  EXPECT_EQ(Vit(config).attention_pool, AttentionPool::kProbe);
  EXPECT_TRUE(Vit(config).patch_bias);
  EXPECT_FALSE(Vit(config).pre_norm || Vit(config).class_token);
  EXPECT_EQ(config.text.transformer.width, 768);
  EXPECT_EQ(config.text.transformer.heads, 12);
  EXPECT_EQ(config.text.transformer.activation, Activation::kTanhGelu);
  EXPECT_EQ(config.text.context_length, 64);
  EXPECT_EQ(config.text.vocab_size, 32000);
  EXPECT_EQ(config.text.pooling, TextPooling::kLast);
  EXPECT_EQ(config.text.projection, Projection::kLinear);
  EXPECT_EQ(config.text.clean, TextClean::kCanonicalize);
  EXPECT_FALSE(config.text.causal);
  EXPECT_EQ(config.preprocess.fit, Fit::kSquash);
  EXPECT_EQ(config.preprocess.interpolation, Interpolation::kBicubic);
  EXPECT_EQ(config.preprocess.mean[0], 0.5f);
  EXPECT_EQ(config.preprocess.std[2], 0.5f);
  // SigLIP 2's files.
  const ModelConfig second = Must(TryHf(
      R"({"model_type": "siglip"})", R"({"resample": 2, "size": {"height": 224, "width": 224}})"));
  EXPECT_EQ(second.preprocess.interpolation, Interpolation::kBilinear);
  EXPECT_EQ(second.preprocess.fit, Fit::kSquash);
}

TEST(FamilyConfigTest, SiglipIsReadByTimmsName) {
  ModelConfig config = Must(TryOpenClip(R"({"embed_dim": 1152, "init_logit_bias": -10, "vision_cfg":
      {"image_size": 384, "timm_model_name": "vit_so400m_patch14_siglip_384", "timm_pool": "map",
       "timm_proj": "none"}, "text_cfg": {"context_length": 64, "vocab_size": 32000,
       "hf_tokenizer_name": "timm/ViT-B-16-SigLIP", "width": 1152, "heads": 16, "layers": 27,
       "mlp_ratio": 3.7362, "no_causal_mask": true, "proj_bias": true, "pool_type": "last"}})"));
  EXPECT_EQ(Vit(config).transformer.mlp_width, 4304);
  EXPECT_EQ(config.text.transformer.mlp_width, 4304);
  EXPECT_EQ(Vit(config).transformer.head_dim(), 72);
  EXPECT_EQ(Vit(config).transformer.layers, 27);
  EXPECT_EQ(Vit(config).tokens(), 729);
  EXPECT_EQ(Vit(config).transformer.activation, Activation::kGelu);
  EXPECT_EQ(Vit(config).attention_pool, AttentionPool::kProbe);
  EXPECT_TRUE(Vit(config).patch_bias);
  EXPECT_EQ(Vit(config).naming, VitNaming::kTimm);
  EXPECT_EQ(config.text.clean, TextClean::kWhitespace);  // as the reference's wrapper of tokenizers
  // Other names stand for another activation.
  config = Must(TryOpenClip(R"({"embed_dim": 1536, "vision_cfg": {"image_size": 256,
      "timm_model_name": "vit_giantopt_patch16_siglip_256", "timm_pool": "map", "timm_proj": "none"},
      "text_cfg": {"act_kwargs": {"approximate": "tanh"}}})"));
  EXPECT_EQ(Vit(config).transformer.activation, Activation::kTanhGelu);
  EXPECT_EQ(config.text.transformer.activation, Activation::kTanhGelu);
}

TEST(FamilyConfigTest, EvaIsReadByTimmsName) {
  const auto read = [](const std::string& name, const std::string& more) {
    return Must(TryOpenClip(R"({"embed_dim": 768, "vision_cfg": {"timm_model_name": ")" + name +
                            R"(", "timm_pool": "token", "timm_proj": null)" + more +
                            R"(}, "text_cfg": {}})"));
  };
  ModelConfig config = read("eva02_large_patch14_clip_336", R"(, "image_size": 336)");
  EXPECT_EQ(Vit(config).transformer.width, 1024);
  EXPECT_EQ(Vit(config).transformer.layers, 24);
  EXPECT_EQ(Vit(config).transformer.heads, 16);
  EXPECT_EQ(Vit(config).transformer.mlp_width, 2730);
  EXPECT_FLOAT_EQ(Vit(config).transformer.layer_norm_eps, 1e-6f);
  EXPECT_EQ(Vit(config).tokens(), 577);
  EXPECT_EQ(Vit(config).rope_reference, 16);
  EXPECT_TRUE(Vit(config).transformer.gated_mlp && Vit(config).transformer.inner_norms);
  EXPECT_FALSE(Vit(config).transformer.post_norm || Vit(config).pre_norm);
  EXPECT_TRUE(Vit(config).class_token && Vit(config).patch_bias);
  EXPECT_EQ(Vit(config).naming, VitNaming::kEva02);
  EXPECT_EQ(Vit(config).attention_pool, AttentionPool::kNone);
  config = read("eva02_base_patch16_clip_224", "");
  EXPECT_EQ(Vit(config).transformer.mlp_width, 2048);
  EXPECT_EQ(Vit(config).tokens(), 197);
  config = read("eva02_enormous_patch14_clip_224", "");
  EXPECT_EQ(Vit(config).transformer.mlp_width, 15360);
  EXPECT_EQ(Vit(config).transformer.layers, 64);
  EXPECT_EQ(Vit(config).transformer.head_dim(), 112);
  EXPECT_EQ(Vit(config).rope_reference, 0);
  EXPECT_TRUE(Vit(config).transformer.post_norm);
  EXPECT_FALSE(Vit(config).transformer.gated_mlp || Vit(config).transformer.inner_norms);
  config = read("eva_giant_patch14_224", "");
  EXPECT_EQ(Vit(config).transformer.mlp_width, 6144);
  EXPECT_EQ(Vit(config).transformer.head_dim(), 88);
  EXPECT_EQ(Vit(config).transformer.activation, Activation::kGelu);
  EXPECT_FALSE(Vit(config).transformer.post_norm || Vit(config).transformer.gated_mlp);
}

TEST(FamilyConfigTest, MobileClipsTowersAreReadByTimmsNames) {
  const auto read = [](const std::string& name, const std::string& pool) {
    return Must(TryOpenClip(R"({"embed_dim": 512, "vision_cfg": {"timm_model_name": ")" + name +
                            R"(", "timm_pool": ")" + pool +
                            R"(", "timm_proj": null, "image_size": 224},
                                "text_cfg": {"no_causal_mask": true}})"));
  };
  ModelConfig config = read("vit_base_mci_224", "token");
  EXPECT_TRUE(Vit(config).conv_stem && Vit(config).class_token);
  EXPECT_FALSE(Vit(config).pre_norm || Vit(config).class_position);
  EXPECT_EQ(Vit(config).tokens(), 197);
  EXPECT_EQ(Vit(config).transformer.mlp_width, 3072);
  EXPECT_FLOAT_EQ(Vit(config).transformer.layer_norm_eps, 1e-6f);
  EXPECT_EQ(config.preprocess.patch, 4) << "what the stem's first windows look at";
  EXPECT_FALSE(config.text.causal);
  config = read("vit_large_patch14_clip_224", "token");
  EXPECT_TRUE(Vit(config).pre_norm && Vit(config).class_position);
  EXPECT_FALSE(Vit(config).conv_stem || Vit(config).patch_bias);
  EXPECT_EQ(Vit(config).tokens(), 257);
  EXPECT_FLOAT_EQ(Vit(config).transformer.layer_norm_eps, 1e-5f);
  config = read("fastvit_mci2", "avg");
  FastVitConfig fast = std::get<FastVitConfig>(config.vision);
  ASSERT_EQ(fast.stages.size(), 4u);
  EXPECT_EQ(fast.stages[2].width, 320);
  EXPECT_EQ(fast.stages[2].layers, 24);
  EXPECT_TRUE(fast.stages[2].squeeze && fast.stages[3].attention);
  EXPECT_FALSE(fast.stages[1].squeeze || fast.layer_norm);
  EXPECT_EQ(fast.features(), 1280);
  EXPECT_EQ(config.preprocess.patch, 1) << "it is given pixels";
  fast = std::get<FastVitConfig>(read("fastvit_mci4", "avg").vision);
  ASSERT_EQ(fast.stages.size(), 5u);
  EXPECT_EQ(fast.stages[4].width, 2048);
  EXPECT_TRUE(fast.layer_norm && fast.stages[3].attention);
  EXPECT_FALSE(fast.stages[3].squeeze || fast.stem_scale);
  EXPECT_EQ(fast.mlp_ratio, 4);
}

TEST(FamilyConfigTest, CocaIsReadWithoutItsDecoder) {
  const ModelConfig config =
      Must(TryOpenClip(R"({"embed_dim": 512, "multimodal_cfg": {"width": 512},
      "vision_cfg": {"patch_size": 32, "attentional_pool": true, "attn_pooler_heads": 4,
        "output_tokens": true},
      "text_cfg": {"context_length": 76, "embed_cls": true, "output_tokens": true}})"));
  EXPECT_EQ(Vit(config).attention_pool, AttentionPool::kQuery);
  EXPECT_EQ(Vit(config).pool_heads, 4);
  EXPECT_EQ(Vit(config).pool_queries, 256);
  EXPECT_EQ(Vit(config).tokens(), 50);
  EXPECT_TRUE(config.text.class_token);
  EXPECT_FALSE(config.text.correct_class_mask);
}

struct Refused {
  std::string config;
  StatusCode code;
  std::vector<std::string> named;
};

TEST(FamilyConfigTest, HuggingFacesAreRefusedByName) {
  const Refused cases[] = {
      {R"({"model_type": "siglip2"})", StatusCode::kUnsupported, {"siglip2", "NaFlex"}},
      {R"({"model_type": "siglip", "vision_config": {"vision_use_head": false}})",
       StatusCode::kUnsupported,
       {"vision_config.vision_use_head"}},
      {R"({"model_type": "siglip", "text_config": {"projection_size": 512}})",
       StatusCode::kDataLoss,
       {"vision_config.hidden_size", "768", "512"}},
  };
  for (const Refused& refused : cases) {
    SCOPED_TRACE(refused.config);
    ExpectError(TryHf(refused.config), refused.code, refused.named);
  }
}

TEST(FamilyConfigTest, OpenClipsAreRefusedByName) {
  const Refused cases[] = {
      {Vision(R"("timm_model_name": "vit_base")"),
       StatusCode::kUnsupported,
       {"vision_cfg.timm_model_name", "vit_base", "SigLIP", "EVA", "MobileCLIP"}},
      {Vision(R"("timm_model_name": "eva02_small_patch14_224")"),
       StatusCode::kUnsupported,
       {"eva02_small", "EVA image towers", "EVA's CLIPs are"}},
      {Vision(R"("timm_model_name": "eva02_base_patch16_clip_224")"),
       StatusCode::kUnsupported,
       {"eva02_base", "timm_pool", "token", "timm_proj null"}},
      {Vision(R"("timm_model_name": "eva02_base_patch16_clip_224", "timm_pool": "token",
                 "timm_proj": "linear")"),
       StatusCode::kUnsupported,
       {"eva02_base", "timm_proj null"}},
      {Vision(R"("timm_model_name": "eva02_base_patch16_clip_224", "timm_pool": "token",
                 "timm_kwargs": {"mlp_ratio": 0})"),
       StatusCode::kDataLoss,
       {"timm_kwargs.mlp_ratio"}},
      {Vision(R"("timm_model_name": "eva02_base_patch16_clip_224", "timm_pool": "token",
                 "timm_kwargs": {"num_heads": 128})"),
       StatusCode::kDataLoss,
       {"timm_kwargs.num_heads", "128", "768", "rotary"}},
      {Vision(R"("timm_model_name": "fastvit_sa12")"),
       StatusCode::kUnsupported,
       {"fastvit_sa12", "other FastViT image towers"}},
      {Vision(R"("timm_model_name": "fastvit_mci1", "timm_pool": "avg", "timm_proj": "linear")"),
       StatusCode::kUnsupported,
       {"fastvit_mci1", "timm_pool \"avg\"", "timm_proj null"}},
      {Vision(R"("timm_model_name": "vit_base_mci_224", "timm_pool": "avg", "timm_proj": null)"),
       StatusCode::kUnsupported,
       {"vit_base_mci_224", "timm_pool \"token\""}},
      {Vision(R"("timm_model_name": "fastvit_mci1", "timm_kwargs": {"layers": [1, 2]})"),
       StatusCode::kDataLoss,
       {"timm_kwargs.layers", "4 stages"}},
      {Vision(R"("timm_model_name": "fastvit_mci3", "timm_kwargs": {"embed_dims": 96})"),
       StatusCode::kDataLoss,
       {"timm_kwargs.embed_dims", "5 stages"}},
      {Vision(R"("timm_model_name": "fastvit_mci1", "timm_kwargs": {"embed_dims": [8, 8, 8, 48]})"),
       StatusCode::kDataLoss,
       {"timm_kwargs.embed_dims", "48", "32"}},
      {Vision(R"("timm_model_name": "vit_base_mci_224", "timm_pool": "token",
                 "timm_kwargs": {"embed_dim": 30, "num_heads": 2}, "image_size": 224)"),
       StatusCode::kDataLoss,
       {"timm_kwargs.embed_dim", "30", "multiple of 4"}},
      {Vision(R"("timm_model_name": "convnext_base")"),
       StatusCode::kUnsupported,
       {"convnext_base", "ConvNeXt image towers"}},
      {Vision(R"("timm_model_name": "vit_base_patch16_siglip_224")"),
       StatusCode::kUnsupported,
       {"timm_pool", "map", "timm_proj"}},
      {Vision(R"("timm_model_name": "vit_base_patch16_siglip_224", "timm_pool": "map",
                 "timm_proj": "none")"),
       StatusCode::kDataLoss,
       {"vit_base_patch16_siglip_224", "768", "512"}},
      {Vision(R"("timm_model_name": "vit_base_patch16_siglip_224", "timm_pool": "map",
                 "timm_proj": "none", "timm_kwargs": {"act_layer": "silu"})"),
       StatusCode::kUnsupported,
       {"timm_kwargs.act_layer", "silu"}},
      {Vision(R"("timm_model_name": "vit_base_patch16_siglip_224", "timm_pool": "map",
                 "timm_proj": "none", "timm_kwargs": {"mlp_ratio": 0})"),
       StatusCode::kDataLoss,
       {"timm_kwargs.mlp_ratio"}},
      {Vision(R"("attentional_pool": "parallel")"),
       StatusCode::kUnsupported,
       {"attentional_pool", "parallel"}},
      {Vision(R"("attentional_pool": true, "pool_type": "avg")"),
       StatusCode::kUnsupported,
       {"pool_type", "avg", "attentional_pool"}},
      {Vision(R"("attentional_pool": true, "attn_pooler_heads": 7)"),
       StatusCode::kDataLoss,
       {"512", "7 heads"}},
      {Vision(R"("act_kwargs": {"approximate": "sigmoid"})"),
       StatusCode::kUnsupported,
       {"vision_cfg.act_kwargs", "sigmoid"}},
      {R"({"embed_dim": 512, "quick_gelu": true, "vision_cfg": {},
           "text_cfg": {"act_kwargs": {"approximate": "tanh"}}})",
       StatusCode::kUnsupported,
       {"text_cfg.act_kwargs", "tanh", "quick_gelu"}},
      {R"({"embed_dim": 512, "vision_cfg": {}, "text_cfg": {"tokenizer_mode": "clips"}})",
       StatusCode::kUnsupported,
       {"text_cfg.tokenizer_mode", "clips"}},
      {R"({"embed_dim": 512, "vision_cfg": {}, "text_cfg": {"use_pad_mask": true, "no_causal_mask": true}})",
       StatusCode::kUnsupported,
       {"use_pad_mask"}},
  };
  for (const Refused& refused : cases) {
    SCOPED_TRACE(refused.config);
    ExpectError(TryOpenClip(refused.config), refused.code, refused.named);
  }
}

}  // namespace
}  // namespace cliptag
