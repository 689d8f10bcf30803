// Every field of a model's configuration is followed, known to mean nothing for embeddings, or an
// error with its name: open_clip takes no other, and a default in its place would be silent.
#include "models/io/json.h"
#include "tests/models/config_files.h"

namespace cliptag {
namespace {

constexpr char kTimm[] =
    R"("timm_model_name": "vit_base_patch16_siglip_224", "timm_pool": "map", "timm_proj": "none",)";

std::string Model(const std::string& field) {
  return R"({"model_cfg": {"embed_dim": 512, "vision_cfg": {}, "text_cfg": {}, )" + field + "}}";
}
std::string Beside(const std::string& field) {
  return R"({"model_cfg": {"embed_dim": 512, "vision_cfg": {}, "text_cfg": {}}, )" + field + "}";
}

TEST(UnknownFieldTest, OpenClip) {
  const struct {
    std::string config;
    std::vector<std::string> named;
  } cases[] = {
      {Model(R"("quick_gleu": true)"), {"quick_gleu", "perhaps quick_gelu"}},
      {Model(R"("quick_gleu": false)"), {"quick_gleu"}},
      {Model(R"("quickgelu": true)"), {"quickgelu", "perhaps quick_gelu"}},
      {Model(R"("something": 1)"), {"something is not known"}},
      {R"({"embed_dim": 512, "vision_cfg": {}, "text_cfg": {}, "quick_gleu": true})",
       {"quick_gleu"}},
      {Vision(R"("no_ln_pree": true)"), {"vision_cfg.no_ln_pree", "perhaps no_ln_pre"}},
      {Vision(R"("headwidth": 64)"), {"vision_cfg.headwidth", "perhaps head_width"}},
      {Vision(R"("layers": [3, 4, 6, 3], "width": 64, "x": 1)"), {"vision_cfg.x"}},
      {Vision(R"("timm_kwargs": {"depth": 2})"), {"vision_cfg.timm_kwargs"}},
      {Vision(kTimm + std::string(R"("timm_poool": "map")")), {"vision_cfg.timm_poool"}},
      {Vision(kTimm + std::string(R"("timm_kwargs": {"dept": 2})")),
       {"vision_cfg.timm_kwargs.dept", "perhaps depth"}},
      {Vision(R"("norm_kwargs": {"epsilon": 1e-6})"), {"vision_cfg.norm_kwargs.epsilon"}},
      {Text(R"("context_lenght": 77)"), {"text_cfg.context_lenght", "perhaps context_length"}},
      {Text(R"("norm_kwargs": {"bias": false})"), {"text_cfg.norm_kwargs.bias"}},
      {Text(R"("tokenizer_kwargs": {"cleen": "lower"})"), {"text_cfg.tokenizer_kwargs.cleen"}},
      {Beside(R"("preproces_cfg": {})"), {"preproces_cfg", "perhaps preprocess_cfg"}},
      {Beside(R"("preprocess_cfg": {"meen": [0, 0, 0]})"), {"preprocess_cfg.meen"}},
      {Beside(R"("preprocess_cfg": {"mode": "L"})"), {"preprocess_cfg.mode"}}};
  for (const auto& c : cases) {
    SCOPED_TRACE(c.config);
    std::vector<std::string> named = c.named;
    named.push_back("open_clip_config.json");
    ExpectError(TryOpenClip(c.config), StatusCode::kUnsupported, named);
  }
}

// All that the reference's dataclasses have, training and captions included.
TEST(UnknownFieldTest, OpenClipTakesWhatTheReferenceTakes) {
  const std::string vision = R"("patch_dropout": 0.5, "output_tokens": true, "timm_drop": 0.1,
      "timm_model_pretrained": true, "timm_drop_path": null, "timm_proj_bias": false,
      "attn_pooler_heads": 4, "block_type": null, "scale_fc": false, "act_kwargs": null)";
  EXPECT_EQ(TryOpenClip(Vision(vision)).status().message(), "");
  EXPECT_EQ(
      TryOpenClip(Vision(vision + R"(, "layers": [3, 4, 6, 3], "width": 64)")).status().message(),
      "");
  EXPECT_EQ(TryOpenClip(Vision(kTimm + vision + R"(, "width": 3)")).status().code(),
            StatusCode::kDataLoss);  // its width is not embed_dim's, but nothing is unknown
  const std::string text = R"("hf_model_pretrained": false, "hf_proj_type": "mlp", "eos_id": 2,
      "hf_pooler_type": "mean_pooler", "final_ln_after_pool": true, "output_tokens": true,
      "tokenizer_kwargs": {"strip_sep_token": true}, "norm_kwargs": {}, "use_pad_mask": false)";
  EXPECT_EQ(TryOpenClip(Text(text)).status().message(), "");
  EXPECT_EQ(TryOpenClip(Model(R"("custom_text": true, "multimodal_cfg": {"layers": 1},
      "nonscalar_logit_scale": true, "cast_dtype": "fp16", "output_dict": true)"))
                .status()
                .message(),
            "");
  EXPECT_EQ(TryOpenClip(Beside(R"("preprocess_cfg": {"size": [224, 224], "mode": "RGB",
      "interpolation": "bicubic", "resize_mode": "shortest", "fill_color": 0,
      "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]})"))
                .status()
                .message(),
            "");
}

TEST(UnknownFieldTest, HuggingFace) {
  const struct {
    std::string config, pixels;
    std::vector<std::string> named;
  } cases[] = {
      {R"({"model_type": "clip", "projection_dims": 64})",
       "{}",
       {"config.json", "projection_dims"}},
      {R"({"model_type": "clip", "text_config": {"hiden_size": 64}})",
       "{}",
       {"text_config.hiden_size", "perhaps hidden_size"}},
      {R"({"model_type": "clip", "vision_config": {"hidden_actt": "gelu"}})",
       "{}",
       {"vision_config.hidden_actt", "perhaps hidden_act"}},
      {R"({"model_type": "clip", "vision_config": {"use_rope": true}})",
       "{}",
       {"vision_config.use_rope is not known"}},
      {R"({"model_type": "clip"})", R"({"image_meen": [0, 0, 0]})", {"image_meen", "image_mean"}},
      {R"({"model_type": "clip"})", R"({"do_pad": true})", {"preprocessor_config.json", "do_pad"}}};
  for (const auto& c : cases) {
    SCOPED_TRACE(c.config + c.pixels);
    ExpectError(TryHf(c.config, c.pixels), StatusCode::kUnsupported, c.named);
  }
}

TEST(UnknownFieldTest, HuggingFaceTakesWhatTransformersWrites) {
  EXPECT_EQ(TryHf(R"({"model_type": "clip", "_commit_hash": "0", "dtype": "float32",
      "use_rope": false, "another": null, "transformers_version": "5.24.0",
      "text_config": {"projection_dim": 512, "initializer_factor": 1.0, "num_beams": 1}})",
                  R"({"do_pad": false, "_valid_processor_keys": ["images"],
      "processor_class": "CLIPProcessor", "do_convert_rgb": true, "use_square_size": true})")
                .status()
                .message(),
            "");
}

}  // namespace
}  // namespace cliptag
