// What lies beside a model's weights: configurations and tokenizers.
#include <array>
#include <cmath>
#include <memory>

#include "models/config/reader.h"
#include "models/encoders/clip_tensors.h"
#include "models/io/json.h"
#include "models/text/tokenizer.h"
#include "models/weights/weights.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/targets.h"

namespace cliptag {
namespace {

constexpr std::string_view kConfigFiles[] = {"config.json", "preprocessor_config.json",
                                             "processor_config.json", "open_clip_config.json",
                                             "model.safetensors.index.json"};
constexpr std::string_view kTokenizerFiles[] = {"tokenizer.json",
                                                "tokenizer_config.json",
                                                "special_tokens_map.json",
                                                "vocab.json",
                                                "merges.txt",
                                                "text"};
constexpr char kModels[] = "tests/data/models/";

// Tiny models in both layouts and of each family.
const std::vector<std::unique_ptr<Weights>>& TinyWeights() {
  static const auto* all = [] {
    auto* out = new std::vector<std::unique_ptr<Weights>>();
    for (const char* file :
         {"hf/model", "siglip-hf/model", "openclip/open_clip_model", "coca/open_clip_model",
          "openclip-resnet/open_clip_model", "siglip-timm/open_clip_model"}) {
      auto weights = Weights::OpenFile(std::string(CLIPTAG_FUZZ_SOURCE) + "/" + kModels + file +
                                       ".safetensors");
      Require(weights.ok(), "the tests' own models can be opened");
      out->push_back(weights.Take());
    }
    return out;
  }();
  return *all;
}

void RequireHeads(const TransformerConfig& tower) {
  Require(tower.width > 0 && tower.layers > 0 && tower.mlp_width > 0, "a tower has sizes");
  Require(tower.heads > 0 && tower.width % tower.heads == 0, "heads divide a tower's width");
}

void RequireTower(const VitConfig& vit) {
  RequireHeads(vit.transformer);
  Require(vit.patch_size > 0 && vit.tokens() > 0, "a picture has a patch at least");
}

void RequireTower(const ResNetConfig& resnet) {
  for (const int layers : resnet.layers) Require(layers > 0, "a ResNet's stages have layers");
  Require(resnet.heads > 0 && resnet.features() % resnet.heads == 0,
          "heads divide a ResNet's features");
}

void RequireTower(const FastVitConfig& fastvit) {
  for (const FastVitConfig::Stage& stage : fastvit.stages) {
    Require(stage.layers > 0 && stage.width > 0, "a FastViT's stages have layers and channels");
    Require(!stage.attention || stage.width % FastVitConfig::kHeadWidth == 0,
            "heads divide a FastViT's width");
  }
}

// A BPE vocabulary like CLIP's in a few tokens.
constexpr char kClipVocabulary[] =
    R"({"a": 0, "b": 1, "c": 2, "a</w>": 3, "b</w>": 4, "c</w>": 5, "ab": 6, "abc</w>": 7, "'": 8,)"
    R"( "<|startoftext|>": 9, "<|endoftext|>": 10})";

// SigLIP's tokenizer.json with the first of its pieces and without its map of characters, whose
// length would be nearly all that is changed.
std::string ShrunkPieces(const std::string& file, bool with_map) {
  Json json = Json::parse(file);
  Json& vocab = json["model"]["vocab"];
  if (vocab.is_array()) {
    vocab.erase(vocab.begin() + 40, vocab.end());
    if (!with_map) json["normalizer"] = nullptr;
  } else {
    Json few = Json::object(), merges = Json::array();
    for (const auto& [piece, id] : vocab.items()) {
      if (id.get<int>() < 40 || piece.size() == 1 || piece == "▁") few[piece] = id;
    }
    for (const Json& merge : json["model"]["merges"]) {
      const std::string left = merge[0], right = merge[1];
      if (few.contains(left) && few.contains(right) && few.contains(left + right)) {
        merges.push_back(merge);
      }
    }
    vocab = few;
    json["model"]["merges"] = merges;
  }
  return json.dump();
}

}  // namespace

void RequireSound(const ModelConfig& config) {
  std::visit([](const auto& tower) { RequireTower(tower); }, config.vision);
  RequireHeads(config.text.transformer);
  Require(config.embed_dim > 0, "embeddings have a length");
  Require(config.text.context_length > 0 && config.text.vocab_size > 0, "texts have tokens");
  for (int i = 0; i < 3; ++i) {
    Require(std::isfinite(config.preprocess.mean[i]) && std::isfinite(config.preprocess.std[i]) &&
                config.preprocess.std[i] > 0,
            "pixels can be normalised");
  }
  PreprocessSpec wanted;
  SetInput(config.vision, &wanted);
  Require(wanted.size > 0 && config.preprocess.size == wanted.size &&
              config.preprocess.patch == wanted.patch,
          "pictures are prepared as the tower takes them");
  for (const auto& weights : TinyWeights()) {
    const auto image = GetVisionTensors(*weights, config);
    if (!image.ok()) RequireReason(image.status());
    const auto text = GetTextTensors(*weights, config);
    if (!text.ok()) RequireReason(text.status());
  }
}

Status ReadFuzzedConfig(std::string_view bytes) {
  static const FuzzFolder folder;
  folder.WriteParts(bytes, kConfigFiles);
  const auto index = ReadWeightIndex(folder.File("model.safetensors.index.json"));
  if (index.ok()) {
    for (const auto& [tensor, file] : *index) {
      Require(file.find('/') == std::string::npos && file != "..",
              "shards lie in the model's own folder");
    }
  } else {
    RequireReason(index.status());
  }
  const Result<ModelConfig> config = ReadModelConfig(folder.path());
  if (!config.ok()) return Refused(config.status());
  RequireSound(*config);
  return {};
}

std::vector<std::string> ConfigSeeds() {
  std::vector<std::string> seeds;
  for (const char* model : {"hf", "siglip-hf", "hf-legacy-gelu-sharded-bf16"}) {
    const std::string folder = std::string(kModels) + model + "/";
    seeds.push_back(
        Part("config.json", ReadSource(folder + "config.json")) +
        Part("preprocessor_config.json", ReadSource(folder + "preprocessor_config.json")));
  }
  seeds.push_back(seeds[2] + Part("model.safetensors.index.json",
                                  R"({"weight_map": {"a": "model-00001-of-00001.safetensors"}})"));
  for (const char* model : {"openclip", "openclip-resnet", "openclip-avg-final-layerscale",
                            "openclip-first-noproj", "coca", "siglip-timm", "siglip2-timm"}) {
    seeds.push_back(Part("open_clip_config.json",
                         ReadSource(std::string(kModels) + model + "/open_clip_config.json")));
  }
  seeds.push_back(Part("config.json", R"({"model_type": "clip"})") +
                  Part("processor_config.json", R"({"image_processor": {"size": 224}})"));
  return seeds;
}

Status ReadFuzzedTokenizer(std::string_view bytes) {
  static const FuzzFolder folder;
  folder.WriteParts(bytes, kTokenizerFiles);
  ModelConfig config;
  config.path = folder.path();
  config.text.context_length = 12;
  config.text.vocab_size = 1000;  // of the public vocabulary nothing is read
  const auto tokenizer = LoadTokenizer(config);
  if (!tokenizer.ok()) return Refused(tokenizer.status());
  std::vector<std::string> texts = {"", "a photo of a cat", "abc ab's 12 <|endoftext|> xyz",
                                    "\xff\xc3 \xe6\x9d\xb1 \xf0\x9f\xa6\x8a",
                                    std::string(300, 'a')};
  if (const auto text = ReadFile(folder.File("text")); text.ok()) {
    texts.push_back(text->substr(0, 2000));
  }
  for (const std::string& text : texts) {
    const Result<Tokens> tokens = (*tokenizer)->Encode(text);
    if (!tokens.ok()) {
      RequireReason(tokens.status());
      continue;
    }
    Require(tokens->ids.size() == 12, "a text fills its context");
    Require(tokens->eot >= 0 && tokens->eot < 12, "a text ends within its context");
    for (const int32_t id : tokens->ids) Require(id >= 0, "tokens are no negative numbers");
  }
  return {};
}

std::vector<std::string> TokenizerSeeds() {
  std::string clip = R"({"model": {"type": "BPE", "end_of_word_suffix": "</w>", "vocab": )";
  clip.append(kClipVocabulary).append(R"(, "merges": ["a b", ["ab", "c</w>"]]}})");
  std::vector<std::string> seeds = {
      Part("tokenizer.json", clip) + Part("text", "abc a'b"),
      Part("vocab.json", kClipVocabulary) + Part("merges.txt", "#version: 0.2\na b\nab c</w>\n") +
          Part("tokenizer_config.json",
               R"({"bos_token": "<|startoftext|>", "eos_token": {"content": "<|endoftext|>"}})")};
  for (const char* model : {"siglip-timm", "siglip2-timm"}) {
    const std::string path = std::string(kModels) + model + "/";
    const std::string file = ReadSource(path + "tokenizer.json");
    const std::string beside =
        Part("tokenizer_config.json", ReadSource(path + "tokenizer_config.json")) +
        Part("text", "a cat on a mat");
    for (const bool with_map : {false, true}) {
      seeds.push_back(Part("tokenizer.json", ShrunkPieces(file, with_map)) + beside);
    }
  }
  return seeds;
}

}  // namespace cliptag
