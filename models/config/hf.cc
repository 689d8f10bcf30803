// The Hugging Face layout: config.json and preprocessor_config.json, read as transformers'
// CLIPConfig and CLIPImageProcessor do.
#include <cmath>
#include <filesystem>

#include "kernels/base/log.h"
#include "models/config/reader.h"

namespace cliptag {
namespace {

// What transformers takes where the files say nothing: those of CLIPConfig, or of SiglipConfig.
struct Defaults {
  const char* activation;
  double epsilon;
  int text_width, text_heads, context_length, vocab_size, patch_size;
  float mean[3], std[3];
  bool squash;  // pictures are resized without keeping their proportions
};
constexpr Defaults kClip = {"quick_gelu",
                            1e-5,
                            512,
                            8,
                            77,
                            49408,
                            32,
                            {0.48145466f, 0.4578275f, 0.40821073f},
                            {0.26862954f, 0.26130258f, 0.27577711f},
                            false};
constexpr Defaults kSiglip = {"gelu_pytorch_tanh", 1e-6, 768, 12, 64, 32000, 16, {0.5f, 0.5f, 0.5f},
                              {0.5f, 0.5f, 0.5f},  true};

Activation ReadActivation(FieldReader* reader, const Defaults& defaults) {
  const std::string name = reader->String("hidden_act", defaults.activation);
  if (name == "quick_gelu") return Activation::kQuickGelu;
  if (name == "gelu_pytorch_tanh" || name == "gelu_new") return Activation::kTanhGelu;
  if (name != "gelu" && name != "gelu_python") {
    reader->Fail(StatusCode::kUnsupported, "hidden_act",
                 "is \"" + name + "\"; quick_gelu, gelu and gelu_pytorch_tanh are supported");
  }
  return Activation::kGelu;
}

TransformerConfig ReadTransformer(FieldReader* reader, int width, int heads,
                                  const Defaults& defaults) {
  TransformerConfig out;
  out.width = reader->Int("hidden_size", width);
  out.mlp_width = reader->Int("intermediate_size", 4 * width);
  out.layers = reader->Int("num_hidden_layers", 12);
  out.heads = reader->Int("num_attention_heads", heads);
  out.activation = ReadActivation(reader, defaults);
  out.layer_norm_eps = static_cast<float>(reader->Number("layer_norm_eps", defaults.epsilon));
  return out;
}

// Old files have text_config_dict beside text_config; transformers lets the former and its defaults
// win over the latter.
const Json& Nested(const Json& root, const char* name, std::string* prefix) {
  static const Json kNull;
  const std::string dict = std::string(name) + "_dict";
  for (const std::string& key : {dict, std::string(name)}) {
    if (root.contains(key) && !root[key].is_null()) {
      *prefix = key + ".";
      return root[key];
    }
  }
  *prefix = std::string(name) + ".";
  return kNull;
}

// "size" and "crop_size": a number, {"shortest_edge": n}, or {"height": n, "width": n}.
struct Size {
  int pixels = 0;
  bool shortest_edge = false;
};

Size ReadSize(FieldReader* reader, const char* key, int fallback, bool number_is_edge) {
  const Json& value = reader->Get(key);
  if (value.is_null()) return {fallback, number_is_edge};
  if (value.is_number()) return {reader->Int(key, fallback), number_is_edge};
  const auto number = [&](const char* field) {
    return value.contains(field) && value[field].is_number_unsigned() ? value[field].get<int>() : 0;
  };
  if (value.is_object() && number("shortest_edge") > 0 && value.size() == 1) {
    return {number("shortest_edge"), true};
  }
  if (value.is_object() && number("height") > 0 && number("height") == number("width")) {
    return {number("height"), false};
  }
  reader->Fail(StatusCode::kUnsupported, key,
               "is " + value.dump() + "; a shortest_edge or a square is supported");
  return {fallback, number_is_edge};
}

void ReadPixels(FieldReader* reader, const Defaults& defaults, PreprocessSpec* spec) {
  for (int i = 0; i < 3; ++i) {
    spec->mean[i] = defaults.mean[i];
    spec->std[i] = defaults.std[i];
  }
  reader->Triple("image_mean", spec->mean);
  reader->Triple("image_std", spec->std);
  const bool normalize = reader->Bool("do_normalize", true);
  const bool rescale = reader->Bool("do_rescale", true);
  // The kernels scale by 1/255; any other factor f is the same as mean and std over 255 f.
  const double scale = (rescale ? reader->Number("rescale_factor", 1.0 / 255.0) : 1.0) * 255.0;
  if (!(scale > 0)) reader->Fail(StatusCode::kDataLoss, "rescale_factor", "must be positive");
  for (int i = 0; i < 3; ++i) {
    if (!normalize) {
      spec->mean[i] = 0;
      spec->std[i] = 1;
    }
    // 1/255 is written with few digits in the files; leave the usual case exactly as it is.
    if (std::abs(scale - 1.0) > 1e-6) {
      spec->mean[i] = static_cast<float>(spec->mean[i] / scale);
      spec->std[i] = static_cast<float>(spec->std[i] / scale);
    }
  }
}

void ReadPreprocessor(FieldReader* reader, const Defaults& defaults, PreprocessSpec* spec) {
  const int image_size = spec->size;  // of the image tower
  ReadPixels(reader, defaults, spec);
  // PIL's codes: 2 bilinear, 3 bicubic.
  const int resample = reader->Int("resample", 3, 0);
  if (resample != 2 && resample != 3) {
    reader->Fail(StatusCode::kUnsupported, "resample",
                 "is " + std::to_string(resample) + "; 2 (bilinear) and 3 (bicubic) are supported");
  }
  spec->interpolation = resample == 2 ? Interpolation::kBilinear : Interpolation::kBicubic;
  if (!reader->Bool("do_resize", true)) {
    reader->Fail(StatusCode::kUnsupported, "do_resize", "is false; pictures have to be resized");
  }
  const Size size = ReadSize(reader, "size", image_size, /*number_is_edge=*/!defaults.squash);
  const bool crops = reader->Bool("do_center_crop", !defaults.squash);
  const Size crop = crops ? ReadSize(reader, "crop_size", image_size, false) : size;
  spec->fit = size.shortest_edge ? Fit::kCrop : Fit::kSquash;
  if (crop.pixels != image_size) {
    reader->Fail(StatusCode::kDataLoss, crops ? "crop_size" : "size",
                 "is " + std::to_string(crop.pixels) + ", but config.json has an image_size of " +
                     std::to_string(image_size));
  } else if (size.pixels != crop.pixels) {
    reader->Fail(StatusCode::kUnsupported, "size",
                 "is " + std::to_string(size.pixels) + " and crop_size " +
                     std::to_string(crop.pixels) + "; only equal ones are supported");
  }
}

// preprocessor_config.json, or the image_processor of a newer processor_config.json; null when the
// model has neither.
Result<Json> ReadProcessorFile(const std::string& directory, std::string* file) {
  std::error_code error;
  *file = directory + "/preprocessor_config.json";
  if (std::filesystem::exists(*file, error)) return ReadJsonFile(*file);
  const std::string newer = directory + "/processor_config.json";
  if (std::filesystem::exists(newer, error)) {
    CLIPTAG_ASSIGN_OR_RETURN(const Json root, ReadJsonFile(newer));
    if (root.is_object() && root.contains("image_processor")) {
      *file = newer;
      return root["image_processor"];
    }
  }
  Log(LogLevel::kWarning, directory +
                              " has no preprocessor_config.json; the usual preparation of "
                              "pictures is assumed.");
  return Json();
}

void ReadText(FieldReader* text, const Defaults& defaults, TextConfig* out) {
  out->transformer = ReadTransformer(text, defaults.text_width, defaults.text_heads, defaults);
  out->context_length = text->Int("max_position_embeddings", defaults.context_length);
  out->vocab_size = text->Int("vocab_size", defaults.vocab_size);
  out->bos_id = text->Int("bos_token_id", 49406, 0);
  out->eos_id = text->Int("eos_token_id", 49407, 0);
  out->pad_id = text->Int("pad_token_id", 1, 0);
  // Files from before transformers 4.31 say 2 and mean "the largest id".
  out->pooling = out->eos_id == 2 ? TextPooling::kArgmax : TextPooling::kEosId;
}

VitConfig ReadVision(FieldReader* vision, const Defaults& defaults) {
  VitConfig out;
  out.transformer = ReadTransformer(vision, 768, 12, defaults);
  out.image_size = vision->Square("image_size", 224);
  out.patch_size = vision->Square("patch_size", defaults.patch_size);
  if (vision->Int("num_channels", 3) != 3) {
    vision->Fail(StatusCode::kUnsupported, "num_channels",
                 "is " + vision->Get("num_channels").dump() + "; pictures have 3");
  }
  return out;
}

// What SigLIP has otherwise than CLIP: both towers' heads, and texts that are read as a whole.
void MakeSiglip(FieldReader* text, FieldReader* vision, VitConfig* image, ModelConfig* config) {
  config->embed_dim = text->Int("projection_size", config->text.transformer.width);
  if (!vision->Bool("vision_use_head", true)) {
    vision->Fail(StatusCode::kUnsupported, "vision_use_head",
                 "is false; without its head an image tower has no embedding");
  }
  image->patch_bias = true;
  image->pre_norm = image->class_token = false;
  image->attention_pool = AttentionPool::kProbe;
  if (image->transformer.width != config->embed_dim) {
    vision->Fail(StatusCode::kDataLoss, "hidden_size",
                 "is " + std::to_string(image->transformer.width) + ", but texts have " +
                     std::to_string(config->embed_dim) + " dimensions");
  }
  TextConfig& words = config->text;
  words.pooling = TextPooling::kLast;
  words.causal = false;
  words.projection = Projection::kLinear;
  words.clean = TextClean::kCanonicalize;
}

// Fields that mean nothing for embeddings: transformers' own of every configuration, among them
// those for generating texts that old files spell out, and those for training. Others are an error
// unless they are off: transformers takes any, a misspelt one as well, and follows its default in
// silence.
void RefuseOthers(FieldReader* reader) {
  reader->RefuseOthers(
      R"(add_cross_attention architectures attention_dropout attn_implementation auto_map
      bad_words_ids begin_suppress_tokens bos_token_id chunk_size_feed_forward
      cross_attention_hidden_size decoder_start_token_id diversity_penalty do_sample dropout
      dtype early_stopping encoder_no_repeat_ngram_size eos_token_id
      exponential_decay_length_penalty finetuning_task forced_bos_token_id
      forced_eos_token_id id2label initializer_factor initializer_range is_composition
      is_decoder is_encoder_decoder label2id length_penalty license max_length min_length
      model_type no_repeat_ngram_size num_beam_groups num_beams num_return_sequences
      output_attentions output_hidden_states output_scores pad_token_id prefix problem_type
      projection_dim projection_size pruned_heads remove_invalid_values repetition_penalty
      return_dict return_dict_in_generate sep_token_id suppress_tokens task_specific_params
      temperature text_config text_config_dict text_model_type tf_legacy_loss
      tie_encoder_decoder tie_word_embeddings tokenizer_class top_k top_p torch_dtype
      torchscript transformers.js_config transformers_version typical_p use_bfloat16
      use_cache vision_config vision_config_dict vision_model_type)",
      /*also_off=*/true);
}

void RefuseOtherPixels(FieldReader* reader) {
  reader->RefuseOthers(
      R"(crop_size data_format default_to_square device disable_grouping do_convert_rgb
      feature_extractor_type image_processor_type image_seq_length input_data_format
      processor_class rescale_factor return_tensors use_square_size)",
      /*also_off=*/true);
}

}  // namespace

Status ReadHuggingFaceConfig(const std::string& file, ModelConfig* config) {
  CLIPTAG_ASSIGN_OR_RETURN(const Json root, ReadJsonFile(file));
  Status status;
  FieldReader top(root, file, "", &status);
  CLIPTAG_RETURN_IF_ERROR(status);
  const std::string type = top.String("model_type", "");
  const bool siglip = type == "siglip";
  const bool clip = type == "clip" ||
                    (type.empty() && (top.Has("vision_config") || top.Has("vision_config_dict")));
  if (type == "siglip2") {
    return Unsupported(
        file +
        ": model_type is \"siglip2\", SigLIP 2 with pictures of any proportions "
        "(NaFlex), which is not supported; SigLIP 2 of a fixed size, whose model_type "
        "is \"siglip\", is.");
  }
  if (!clip && !siglip) {
    return Unsupported(file + ": model_type is \"" + type +
                       "\"; of the Hugging Face layout \"clip\" and \"siglip\" are supported.");
  }
  const Defaults& defaults = siglip ? kSiglip : kClip;
  config->layout = Layout::kHuggingFace;
  config->embed_dim = top.Int("projection_dim", 512);
  config->logit_scale = std::exp(top.Number("logit_scale_init_value", 2.6592));

  std::string prefix;
  const Json& text_json = Nested(root, "text_config", &prefix);
  FieldReader text(text_json, file, prefix, &status);
  ReadText(&text, defaults, &config->text);
  const Json& vision_json = Nested(root, "vision_config", &prefix);
  FieldReader vision(vision_json, file, prefix, &status);
  VitConfig image = ReadVision(&vision, defaults);
  if (siglip) MakeSiglip(&text, &vision, &image, config);
  config->vision = image;
  SetInput(config->vision, &config->preprocess);
  for (FieldReader* reader : {&top, &text, &vision}) RefuseOthers(reader);
  CLIPTAG_RETURN_IF_ERROR(status);

  std::string processor_file;
  CLIPTAG_ASSIGN_OR_RETURN(const Json processor, ReadProcessorFile(config->path, &processor_file));
  FieldReader pixels(processor, processor_file, "", &status);
  ReadPreprocessor(&pixels, defaults, &config->preprocess);
  RefuseOtherPixels(&pixels);
  CLIPTAG_RETURN_IF_ERROR(status);
  return CheckConfig(*config, file);
}

}  // namespace cliptag
