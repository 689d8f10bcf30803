// The open_clip layout: open_clip_config.json, read as open_clip's CLIPVisionCfg, CLIPTextCfg and
// PreprocessCfg do.
#include <cmath>

#include "models/config/reader.h"

namespace cliptag {
namespace {

constexpr char kNotYet[] = "it is not supported";

// Attention blocks with features of their own; plain CLIP has none of them.
void RefuseCustomBlocks(FieldReader* reader) {
  if (reader->String("block_type", "default") != "default") reader->Refuse("block_type", kNotYet);
  for (const char* key : {"qk_norm", "scaled_cosine_attn", "scale_heads", "scale_attn_inner",
                          "scale_attn", "scale_fc"}) {
    reader->Refuse(key, kNotYet);
  }
}

Activation ReadActivation(FieldReader* reader, bool quick_gelu) {
  const Json& kwargs = reader->Get("act_kwargs");
  const bool tanh = kwargs == Json{{"approximate", "tanh"}};
  const bool plain =
      !kwargs.is_object() || kwargs.empty() || kwargs == Json{{"approximate", "none"}};
  if ((!plain && !tanh) || (tanh && quick_gelu)) {
    reader->Fail(StatusCode::kUnsupported, "act_kwargs",
                 "is " + kwargs.dump() + (quick_gelu ? " beside quick_gelu" : "") +
                     "; GELU, approximated by tanh or not, and QuickGELU are supported");
  }
  return tanh ? Activation::kTanhGelu : quick_gelu ? Activation::kQuickGelu : Activation::kGelu;
}

TransformerConfig ReadTransformer(FieldReader* reader, int width, bool quick_gelu,
                                  const std::string& file, const std::string& prefix,
                                  Status* status) {
  TransformerConfig out;
  out.width = reader->Int("width", width);
  out.layers = reader->Int("layers", 12);
  out.mlp_width = ReadMlpWidth(reader, out.width, 4.0);
  out.activation = ReadActivation(reader, quick_gelu);
  out.layer_scale = reader->Has("ls_init_value");
  FieldReader norm(reader->Get("norm_kwargs"), file, prefix + "norm_kwargs.", status);
  out.layer_norm_eps = static_cast<float>(norm.Number("eps", 1e-5));
  norm.RefuseOthers();
  RefuseCustomBlocks(reader);
  return out;
}

// The reference reads no other field of a ResNet's.
ResNetConfig ReadResNet(FieldReader* vision) {
  const Json& layers = vision->Get("layers");
  ResNetConfig resnet;
  if (layers.size() != 4) {
    vision->Fail(StatusCode::kDataLoss, "layers",
                 "is " + layers.dump() + "; a ResNet has four numbers of them");
    return resnet;
  }
  for (int stage = 0; stage < 4; ++stage) resnet.layers[stage] = vision->Element("layers", stage);
  resnet.width = vision->Int("width", 768);
  const int head_width = vision->Int("head_width", 64);
  resnet.heads = resnet.features() / head_width;
  if (resnet.heads < 1 || resnet.features() % resnet.heads != 0) {
    vision->Fail(StatusCode::kDataLoss, "head_width",
                 "is " + std::to_string(head_width) + ", which does not divide the " +
                     std::to_string(resnet.features()) + " features of a width of " +
                     std::to_string(resnet.width));
  }
  resnet.image_size = vision->Square("image_size", 224);
  // What five halvings leave; the reference takes a 32nd for it.
  const int grid = (resnet.image_size + 1) / 2 / 2 / 2 / 2 / 2;
  if (grid < 1 || grid != resnet.grid()) {
    vision->Fail(StatusCode::kDataLoss, "image_size",
                 "is " + std::to_string(resnet.image_size) + "; a ResNet takes multiples of 32");
  }
  return resnet;
}

// CoCa's. A string ("parallel", "cascade") asks for two poolers, which the reference itself calls
// untested.
void ReadAttentionalPool(FieldReader* vision, VitConfig* out) {
  const Json& pool = vision->Get("attentional_pool");
  if (pool.is_string()) {
    vision->Refuse("attentional_pool", "only true (CoCa's one pooler) is supported");
    return;
  }
  if (!vision->Bool("attentional_pool", false)) return;
  if (out->average_pool) {
    vision->Refuse("pool_type", "with attentional_pool only tok is supported");
  }
  out->attention_pool = AttentionPool::kQuery;
  out->pool_heads = vision->Int("attn_pooler_heads", 8);
  out->pool_queries = vision->Int("attn_pooler_queries", 256);
}

VitConfig ReadVit(FieldReader* vision, bool quick_gelu, const std::string& file, Status* status) {
  VitConfig out;
  out.transformer = ReadTransformer(vision, 768, quick_gelu, file, "vision_cfg.", status);
  const int head_width = vision->Int("head_width", 64);
  out.transformer.heads = out.transformer.width / head_width;
  if (out.transformer.heads < 1) {
    vision->Fail(StatusCode::kDataLoss, "head_width",
                 "is " + std::to_string(head_width) + ", more than the width of " +
                     std::to_string(out.transformer.width));
  }
  out.image_size = vision->Square("image_size", 224);
  out.patch_size = vision->Square("patch_size", 16);
  out.pre_norm = !vision->Bool("no_ln_pre", false);
  out.final_norm_after_pool = vision->Bool("final_ln_after_pool", false);
  const std::string pool = vision->String("pool_type", "tok");
  if (pool != "tok" && pool != "avg") {
    vision->Fail(StatusCode::kUnsupported, "pool_type",
                 "is \"" + pool + "\"; tok and avg are supported");
  }
  out.average_pool = pool == "avg";
  ReadAttentionalPool(vision, &out);
  const std::string position = vision->String("pos_embed_type", "learnable");
  if (position != "learnable" && position != "sin_cos_2d") {  // both are stored as a tensor
    vision->Fail(StatusCode::kUnsupported, "pos_embed_type",
                 "is \"" + position + "\"; learnable and sin_cos_2d are supported");
  }
  return out;
}

VisionConfig ReadVision(FieldReader* vision, bool quick_gelu, const std::string& file,
                        Status* status) {
  if (!vision->String("timm_model_name", "").empty()) return ReadTimmVision(vision, file, status);
  if (vision->Get("layers").is_array()) return ReadResNet(vision);
  return ReadVit(vision, quick_gelu, file, status);
}

void ReadTokenizer(FieldReader* text, const std::string& file, Status* status, TextConfig* out) {
  out->tokenizer_name = text->String("hf_tokenizer_name", "");
  FieldReader kwargs(text->Get("tokenizer_kwargs"), file, "text_cfg.tokenizer_kwargs.", status);
  kwargs.Refuse("additional_special_tokens", kNotYet);
  kwargs.Refuse("reduction_mask", kNotYet);
  text->Refuse("tokenizer_mode", kNotYet);
  // open_clip's own tokenizer lowers; its wrapper of transformers' does not.
  const std::string clean =
      kwargs.String("clean", out->tokenizer_name.empty() ? "lower" : "whitespace");
  if (clean == "whitespace") {
    out->clean = TextClean::kWhitespace;
  } else if (clean == "canonicalize") {
    out->clean = TextClean::kCanonicalize;
  } else if (clean != "lower") {
    kwargs.Fail(StatusCode::kUnsupported, "clean",
                "is \"" + clean + "\"; lower, whitespace and canonicalize are supported");
  }
  // The tokenizers that are supported have no such token.
  kwargs.RefuseOthers("strip_sep_token language cache_dir");
}

void ReadText(FieldReader* text, bool quick_gelu, const std::string& file, Status* status,
              TextConfig* out) {
  text->Refuse("hf_model_name", "text towers from transformers are not supported");
  out->transformer = ReadTransformer(text, 512, quick_gelu, file, "text_cfg.", status);
  out->transformer.heads = text->Int("heads", 8);
  out->context_length = text->Int("context_length", 77);
  out->vocab_size = text->Int("vocab_size", 49408);
  out->pad_id = text->Int("pad_id", 0, 0);
  out->causal = !text->Bool("no_causal_mask", false);
  out->class_token = text->Bool("embed_cls", false);
  out->correct_class_mask = text->Bool("correct_cls_mask", false);
  if (!out->causal && !out->class_token) {
    text->Refuse("use_pad_mask", "a mask of padding without a causal one is not supported");
  }
  const std::string pool = text->String("pool_type", "argmax");
  if (pool == "argmax") {
    out->pooling = TextPooling::kArgmax;
  } else if (pool == "eos") {
    out->pooling = TextPooling::kEosId;
    out->eos_id = text->Int("eos_id", 2, 0);
  } else if (pool == "first" || pool == "last") {
    out->pooling = pool == "first" ? TextPooling::kFirst : TextPooling::kLast;
  } else {
    text->Fail(StatusCode::kUnsupported, "pool_type",
               "is \"" + pool + "\"; argmax, eos, first and last are supported");
  }
  const std::string projection = text->String("proj_type", "linear");
  if (projection == "none") {
    out->projection = Projection::kNone;
  } else if (projection == "linear") {
    out->projection = text->Bool("proj_bias", false) ? Projection::kLinear : Projection::kMatrix;
  } else {
    text->Fail(StatusCode::kUnsupported, "proj_type",
               "is \"" + projection + "\"; linear and none are supported");
  }
  ReadTokenizer(text, file, status, out);
}

void ReadPreprocess(FieldReader* reader, const VisionConfig& vision, PreprocessSpec* spec) {
  SetClipMeanAndStd(spec);
  SetInput(vision, spec);  // the image tower's size wins over preprocess_cfg.size
  reader->Triple("mean", spec->mean);
  reader->Triple("std", spec->std);
  const std::string interpolation = reader->String("interpolation", "bicubic");
  if (interpolation == "bilinear") {
    spec->interpolation = Interpolation::kBilinear;
  } else if (interpolation != "bicubic" && interpolation != "random") {  // random is for training
    reader->Fail(StatusCode::kUnsupported, "interpolation",
                 "is \"" + interpolation + "\"; bicubic and bilinear are supported");
  }
  const std::string mode = reader->String("resize_mode", "shortest");
  if (mode == "shortest") {
    spec->fit = Fit::kCrop;
  } else if (mode == "squash") {
    spec->fit = Fit::kSquash;
  } else if (mode == "longest") {
    spec->fit = Fit::kLetterbox;
  } else {
    reader->Fail(StatusCode::kUnsupported, "resize_mode",
                 "is \"" + mode + "\"; shortest, longest and squash are supported");
  }
  float fill[3] = {0, 0, 0};  // 0..255
  reader->Triple("fill_color", fill);
  for (int i = 0; i < 3; ++i) spec->fill[i] = fill[i] / 255.0f;
  if (reader->String("mode", "RGB") != "RGB") {
    reader->Fail(StatusCode::kUnsupported, "mode",
                 "is not \"RGB\"; other colours are not supported");
  }
  reader->RefuseOthers("size");
}

// Fields of the reference's CLIPVisionCfg, CLIPTextCfg and models that some kinds of towers are not
// asked for, and those that are for training or for captions.
void RefuseOthers(FieldReader* model, FieldReader* vision, FieldReader* text) {
  vision->RefuseOthers(
      R"(layers width head_width mlp_ratio patch_size image_size ls_init_value patch_dropout
      attentional_pool attn_pooler_queries attn_pooler_heads no_ln_pre pos_embed_type
      final_ln_after_pool pool_type output_tokens act_kwargs norm_kwargs block_type qk_norm
      scaled_cosine_attn scale_heads scale_attn_inner scale_attn scale_fc
      timm_model_pretrained timm_pool timm_proj timm_proj_bias timm_drop timm_drop_path)");
  // Only one token is pooled: norms before and after that are the same.
  text->RefuseOthers(
      R"(eos_id final_ln_after_pool output_tokens proj_bias use_pad_mask hf_model_pretrained
      hf_proj_type hf_pooler_type)");
  model->RefuseOthers(
      R"(custom_text multimodal_cfg nonscalar_logit_scale cast_dtype output_dict preprocess_cfg)");
}

}  // namespace

Status ReadOpenClipConfig(const std::string& file, ModelConfig* config) {
  CLIPTAG_ASSIGN_OR_RETURN(const Json root, ReadJsonFile(file));
  Status status;
  FieldReader whole(root, file, "", &status);
  CLIPTAG_RETURN_IF_ERROR(status);
  // Without model_cfg the file is the bare model configuration.
  FieldReader model(whole.Has("model_cfg") ? root["model_cfg"] : root, file, "", &status);
  for (const char* key : {"embed_dim", "vision_cfg", "text_cfg"}) {
    if (!model.Has(key)) model.Fail(StatusCode::kDataLoss, key, "is missing");
  }
  CLIPTAG_RETURN_IF_ERROR(status);
  config->layout = Layout::kOpenClip;
  config->embed_dim = model.Int("embed_dim", 512);
  const bool quick_gelu = model.Bool("quick_gelu", false);
  config->logit_scale = std::exp(model.Number("init_logit_scale", std::log(1.0 / 0.07)));
  config->logit_bias = model.Number("init_logit_bias", 0.0);

  FieldReader vision(model.Get("vision_cfg"), file, "vision_cfg.", &status);
  config->vision = ReadVision(&vision, quick_gelu, file, &status);
  FieldReader text(model.Get("text_cfg"), file, "text_cfg.", &status);
  ReadText(&text, quick_gelu, file, &status, &config->text);
  FieldReader pixels(whole.Get("preprocess_cfg"), file, "preprocess_cfg.", &status);
  ReadPreprocess(&pixels, config->vision, &config->preprocess);
  RefuseOthers(&model, &vision, &text);
  if (whole.Has("model_cfg")) whole.RefuseOthers("preprocess_cfg");
  CLIPTAG_RETURN_IF_ERROR(status);
  if (config->text.projection == Projection::kNone &&
      config->text.transformer.width != config->embed_dim) {
    return DataLoss(file + ": text_cfg.proj_type is \"none\", but text_cfg.width " +
                    std::to_string(config->text.transformer.width) + " is not embed_dim " +
                    std::to_string(config->embed_dim) + ".");
  }
  const auto* vit = std::get_if<VitConfig>(&config->vision);
  if (vit != nullptr && vit->attention_pool == AttentionPool::kProbe &&
      vit->transformer.width != config->embed_dim) {
    return DataLoss(file + ": the image tower " + vision.String("timm_model_name", "") +
                    " gives embeddings of " + std::to_string(vit->transformer.width) +
                    ", but embed_dim is " + std::to_string(config->embed_dim) + ".");
  }
  return CheckConfig(*config, file);
}

}  // namespace cliptag
