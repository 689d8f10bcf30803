// Models whose weights are PyTorch's archives: beside a configuration, as Hugging Face and
// open_clip have them, and OpenAI's, where all follows from the shapes. That the answers of these
// are right, golden_test.cc shows.
#include "models/clip_model.h"
#include "models/config/find_model.h"
#include "models/io/json.h"
#include "models/weights/torch_file.h"
#include "models/weights/weights.h"
#include "tests/models/model_test.h"
#include "tests/models/torch_archive.h"

namespace cliptag {
namespace {

std::string ArchiveFile() { return DataDir() + "/models/openai/ViT-B-8.pt"; }

void ExpectConfig(const ModelConfig& config, const std::string& name) {
  EXPECT_EQ(config.name, name);
  EXPECT_EQ(config.layout, Layout::kOpenClip);
  EXPECT_EQ(config.embed_dim, 24);
  EXPECT_EQ(Vit(config).transformer.width, 64);
  EXPECT_EQ(Vit(config).transformer.layers, 1);
  EXPECT_EQ(Vit(config).transformer.heads, 1);
  EXPECT_EQ(Vit(config).transformer.mlp_width, 256);
  EXPECT_EQ(Vit(config).transformer.activation, Activation::kQuickGelu);
  EXPECT_EQ(Vit(config).image_size, 32);
  EXPECT_EQ(Vit(config).patch_size, 8);
  EXPECT_EQ(config.text.transformer.activation, Activation::kQuickGelu);
  EXPECT_EQ(config.text.context_length, 20);
  EXPECT_EQ(config.text.pooling, TextPooling::kArgmax);
  EXPECT_EQ(config.preprocess.size, 32);
  EXPECT_EQ(config.preprocess.fit, Fit::kCrop);
  EXPECT_FLOAT_EQ(config.preprocess.mean[0], 0.48145466f);
}

TEST(OpenAiTest, ByDirectoryAndByFile) {
  ExpectConfig(Must(ReadModelConfig(DataDir() + "/models/openai")), "openai");
  EXPECT_EQ(Must(FindModel(ArchiveFile())), ArchiveFile());
  ExpectConfig(Must(ReadModelConfig(ArchiveFile())), "ViT-B-8");
  const auto backend = CreateRefBackend();
  const auto model = Must(ClipModel::Load(ArchiveFile(), *backend));
  EXPECT_EQ(model->config().path, DataDir() + "/models/openai");
  EXPECT_NEAR(model->config().logit_scale, 1 / 0.07, 0.05);  // stored in half precision
}

TEST(OpenAiTest, SeveralAreAskedAbout) {
  TempDir dir;
  dir.Write("ViT-B-16.pt", "");
  dir.Write("ViT-B-32.pt", "");
  ExpectError(ReadModelConfig(dir.path()), StatusCode::kInvalidArgument,
              {dir.path(), "2 models", "ViT-B-16.pt", "name the one"});
  dir.Write("open_clip_config.json",
            R"({"model_cfg": {"embed_dim": 512, "vision_cfg": {}, "text_cfg": {}}})");
  ExpectError(OpenWeights(Must(ReadModelConfig(dir.path()))), StatusCode::kInvalidArgument,
              {"2 files", "ViT-B-16.pt"});
  EXPECT_EQ(Must(ReadModelConfig(dir.File("ViT-B-32.pt"))).weights_file, dir.File("ViT-B-32.pt"));
}

// open_clip's training leaves such files, and whether they use QuickGELU nobody can tell from them.
TEST(OpenAiTest, OthersNeedAConfiguration) {
  TempDir dir;
  dir.Write("epoch_1.pt", Archive(StateDict(PickledTensorValue({}))));
  ExpectError(ReadModelConfig(dir.path()), StatusCode::kNotFound,
              {"epoch_1.pt", "activation", "open_clip_config.json"});
}

TEST(OpenAiTest, WhatDoesNotFollowFromTheShapes) {
  TempDir dir;
  const auto script = [](const std::string& attributes) {
    return Archive(
        "\x80\x02"
        "c__torch__\nM\n)\x81}(" +
        attributes + "ub.");
  };
  dir.Write("a.pt", script(PickledText("text_projection") + PickledTensorValue({})));
  ExpectError(ReadModelConfig(dir.File("a.pt")), StatusCode::kDataLoss,
              {"a.pt", "visual.conv1.weight"});
  const std::string pool =
      "c__torch__\nP\n)\x81}" + PickledText("positional_embedding") + PickledTensorValue({}) + "sb";
  const std::string visual = "c__torch__\nV\n)\x81}" + PickledText("attnpool") + pool + "sb";
  dir.Write("a.pt", script(PickledText("visual") + visual + PickledText("text_projection") +
                           PickledTensorValue({})));
  ExpectError(ReadModelConfig(dir.File("a.pt")), StatusCode::kDataLoss,
              {"a.pt", "visual.layer1.0.conv1.weight", "without layers"});
}

// A ResNet's archive of which only the shapes are there, `stages` of them with a layer.
std::string ResNetShapes(int stages, int64_t width) {
  std::vector<std::pair<std::string, std::vector<int64_t>>> tensors = {
      {"visual.attnpool.positional_embedding", {5, 32 * width}},
      {"text_projection", {64, 8}},
      {"ln_final.weight", {64}},
      {"positional_embedding", {8, 64}},
      {"token_embedding.weight", {20, 64}},
      {"transformer.resblocks.0.attn.in_proj_weight", {192, 64}}};
  for (int stage = 1; stage <= stages; ++stage) {
    tensors.push_back(
        {"visual.layer" + std::to_string(stage) + ".0.conv1.weight", {width, 1, 1, 1}});
  }
  std::string attributes;
  for (const auto& [name, shape] : tensors) {
    const std::vector<int64_t> none(shape.size(), 0);
    attributes += PickledText(name) + PickledTensorValue({.shape = shape, .strides = none});
  }
  return Archive(
      "\x80\x02"
      "c__torch__\nM\n)\x81}(" +
      attributes + "ub.");
}

TEST(OpenAiTest, ResNetsThatCannotBe) {
  TempDir dir;
  dir.Write("a.pt", ResNetShapes(4, 2));
  EXPECT_EQ(std::get<ResNetConfig>(Must(ReadModelConfig(dir.File("a.pt"))).vision).heads, 1);
  dir.Write("a.pt", ResNetShapes(4, 1));
  ExpectError(ReadModelConfig(dir.File("a.pt")), StatusCode::kDataLoss,
              {"a.pt", "32 features", "width 1", "0 heads"});
  dir.Write("a.pt", ResNetShapes(3, 2));
  ExpectError(ReadModelConfig(dir.File("a.pt")), StatusCode::kDataLoss,
              {"a.pt", "visual.layer4.0.conv1.weight", "without layers"});
}

TEST(OpenAiTest, AResNet) {
  const ModelConfig config = Must(ReadModelConfig(DataDir() + "/models/openai-resnet"));
  const auto& resnet = std::get<ResNetConfig>(config.vision);
  EXPECT_EQ(std::vector<int>(resnet.layers, resnet.layers + 4), (std::vector<int>{1, 2, 1, 1}));
  EXPECT_EQ(resnet.width, 4);
  EXPECT_EQ(resnet.heads, 2);
  EXPECT_EQ(resnet.image_size, 64);
  EXPECT_EQ(config.embed_dim, 24);
  EXPECT_EQ(config.preprocess.size, 64);
  EXPECT_EQ(config.preprocess.patch, 1);
}

std::string TorchData(const std::string& name) { return DataDir() + "/torch/" + name; }

class TorchModelTest : public ::testing::Test {
 protected:
  void SetUp() override {
    dir_.CopyFrom(DataDir() + "/models/hf");
    std::filesystem::remove(dir_.File("model.safetensors"));
  }
  void ExpectAnswers() {
    const auto texts =
        Json::parse(ReadAll(DataDir() + "/models/texts.json")).get<std::vector<std::string>>();
    const auto backend = CreateRefBackend();
    const auto model = Must(ClipModel::Load(dir_.path(), *backend));
    const Rows wanted = ReadNpy(DataDir() + "/models/hf/texts.npy");
    std::vector<float> found(wanted.data.size());
    const Status status = model->EncodeTexts(texts, found.data());
    ASSERT_TRUE(status.ok()) << status.message();
    for (int64_t i = 0; i < wanted.rows; ++i) {
      EXPECT_GE(Cosine(wanted.row(i), found.data() + i * wanted.cols, wanted.cols), 0.99999);
    }
  }
  TempDir dir_;
};

TEST_F(TorchModelTest, PytorchModelBin) {
  dir_.Write("pytorch_model.bin", ReadAll(TorchData("pytorch_model.bin")));
  ExpectAnswers();
}

TEST_F(TorchModelTest, Shards) {
  const std::string file = ReadAll(TorchData("pytorch_model.bin"));
  Json map;
  int i = 0;
  for (const auto& [name, info] : Must(ParseTorch(std::as_bytes(std::span(file)), "F")).tensors) {
    map[name] =
        i++ % 2 == 0 ? "pytorch_model-00001-of-00002.bin" : "pytorch_model-00002-of-00002.bin";
  }
  dir_.Write("pytorch_model-00001-of-00002.bin", file);
  dir_.Write("pytorch_model-00002-of-00002.bin", file);
  dir_.Write("pytorch_model.bin.index.json", Json{{"weight_map", map}}.dump());
  ExpectAnswers();
}

TEST_F(TorchModelTest, SafetensorsGoFirst) {
  dir_.Write("pytorch_model.bin", "not even a zip file");
  dir_.Write("model.safetensors", ReadAll(DataDir() + "/models/hf/model.safetensors"));
  ExpectAnswers();
}

TEST_F(TorchModelTest, OnlyTokenizerJson) {
  dir_.Write("pytorch_model.bin", ReadAll(TorchData("pytorch_model.bin")));
  std::filesystem::remove(dir_.File("vocab.json"));
  std::filesystem::remove(dir_.File("merges.txt"));
  dir_.Write("tokenizer.json", ReadAll(TorchData("tokenizer.json")));
  ExpectAnswers();
}

TEST(TorchPrecedenceTest, SafetensorsOfEitherLayoutGoBeforePickles) {
  TempDir dir;
  dir.Write("config.json", R"({"model_type": "clip"})");
  dir.Write("open_clip_config.json",
            R"({"model_cfg": {"embed_dim": 512, "vision_cfg": {}, "text_cfg": {}}})");
  dir.Write("open_clip_pytorch_model.bin", "");
  EXPECT_EQ(Must(ReadModelConfig(dir.path())).layout, Layout::kOpenClip);
  dir.Write("pytorch_model.bin", "");
  EXPECT_EQ(Must(ReadModelConfig(dir.path())).layout, Layout::kOpenClip);
  dir.Write("model.safetensors", "");
  EXPECT_EQ(Must(ReadModelConfig(dir.path())).layout, Layout::kHuggingFace);
  dir.Write("open_clip_model.safetensors", "");
  EXPECT_EQ(Must(ReadModelConfig(dir.path())).layout, Layout::kOpenClip);
}

}  // namespace
}  // namespace cliptag
