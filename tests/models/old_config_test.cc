// The long configurations of the first CLIPs on Hugging Face, openai/clip-vit-large-patch14's among
// them.
#include "models/config/config.h"
#include "tests/models/model_test.h"

namespace cliptag {
namespace {

// As transformers 4.2x wrote them: every default of generation spelled out in each tower, the old
// dicts beside them (null, or sparse as in clip-vit-large-patch14).
constexpr char kGeneration[] = R"(
    "_name_or_path": "", "add_cross_attention": false, "architectures": null,
    "attention_dropout": 0.0, "bad_words_ids": null, "chunk_size_feed_forward": 0,
    "cross_attention_hidden_size": null, "decoder_start_token_id": null, "diversity_penalty": 0.0,
    "do_sample": false, "dropout": 0.0, "early_stopping": false,
    "encoder_no_repeat_ngram_size": 0, "exponential_decay_length_penalty": null,
    "finetuning_task": null, "forced_bos_token_id": null, "forced_eos_token_id": null,
    "hidden_act": "quick_gelu", "id2label": {"0": "LABEL_0", "1": "LABEL_1"},
    "initializer_factor": 1.0, "initializer_range": 0.02, "is_decoder": false,
    "is_encoder_decoder": false, "label2id": {"LABEL_0": 0, "LABEL_1": 1}, "layer_norm_eps": 1e-05,
    "length_penalty": 1.0, "max_length": 20, "min_length": 0, "no_repeat_ngram_size": 0,
    "num_beam_groups": 1, "num_beams": 1, "num_return_sequences": 1, "output_attentions": false,
    "output_hidden_states": false, "output_scores": false, "prefix": null, "problem_type": null,
    "pruned_heads": {}, "remove_invalid_values": false, "repetition_penalty": 1.0,
    "return_dict": true, "return_dict_in_generate": false, "sep_token_id": null,
    "task_specific_params": null, "temperature": 1.0, "tf_legacy_loss": false,
    "tie_encoder_decoder": false, "tie_word_embeddings": true, "tokenizer_class": null,
    "top_k": 50, "top_p": 1.0, "torch_dtype": null, "torchscript": false,
    "transformers_version": "4.21.0.dev0", "typical_p": 1.0, "use_bfloat16": false)";

std::string LongConfig(const std::string& dicts) {
  const std::string generation = kGeneration;
  return R"({"_name_or_path": "clip-vit-large-patch14/", "architectures": ["CLIPModel"],
    "initializer_factor": 1.0, "logit_scale_init_value": 2.6592, "model_type": "clip",
    "projection_dim": 768, "torch_dtype": "float32", "transformers_version": null,
    "text_config": {)" +
         generation + R"(, "bos_token_id": 0, "eos_token_id": 2, "pad_token_id": 1,
    "hidden_size": 768, "intermediate_size": 3072, "max_position_embeddings": 77,
    "model_type": "clip_text_model", "num_attention_heads": 12, "num_hidden_layers": 12,
    "projection_dim": 768, "vocab_size": 49408},
    "vision_config": {)" +
         generation + R"(, "bos_token_id": null, "eos_token_id": null, "pad_token_id": null,
    "hidden_size": 1024, "image_size": 224, "intermediate_size": 4096, "num_channels": 3,
    "model_type": "clip_vision_model", "num_attention_heads": 16, "num_hidden_layers": 24,
    "patch_size": 14, "projection_dim": 768},
    )" + dicts +
         "}";
}

TEST(OldConfigTest, EveryDefaultSpelledOut) {
  const std::string nulls = R"("text_config_dict": null, "vision_config_dict": null)";
  const std::string sparse = R"(
    "text_config_dict": {"hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12,
                         "num_hidden_layers": 12, "projection_dim": 768},
    "vision_config_dict": {"hidden_size": 1024, "intermediate_size": 4096,
                           "num_attention_heads": 16, "num_hidden_layers": 24, "patch_size": 14,
                           "projection_dim": 768})";
  TempDir dir;
  dir.Write("preprocessor_config.json", "{}");
  for (const std::string& dicts : {nulls, sparse}) {
    dir.Write("config.json", LongConfig(dicts));
    const ModelConfig config = Must(ReadModelConfig(dir.path()));
    EXPECT_EQ(config.embed_dim, 768);
    EXPECT_EQ(Vit(config).transformer.width, 1024);
    EXPECT_EQ(Vit(config).transformer.layers, 24);
    EXPECT_EQ(Vit(config).transformer.heads, 16);
    EXPECT_EQ(Vit(config).transformer.mlp_width, 4096);
    EXPECT_EQ(Vit(config).transformer.activation, Activation::kQuickGelu);
    EXPECT_EQ(Vit(config).image_size, 224);
    EXPECT_EQ(Vit(config).patch_size, 14);
    EXPECT_EQ(config.text.transformer.width, 768);
    EXPECT_EQ(config.text.transformer.heads, 12);
    // The dicts' defaults win over text_config; either way it is the last token that counts.
    EXPECT_EQ(config.text.pooling, dicts == nulls ? TextPooling::kArgmax : TextPooling::kEosId);
    EXPECT_TRUE(config.warnings.empty());
  }
}

}  // namespace
}  // namespace cliptag
