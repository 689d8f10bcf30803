// Every tensor of a model's weights is used, known to mean nothing, or an error with its name; and
// the model is found whatever was wrapped around it. Weights that hold NaN are told of at the
// start, of both towers, or with the one text that has the damaged word.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>

#include "models/clip_model.h"
#include "models/io/json.h"
#include "models/weights/tensor_names.h"
#include "models/weights/weights.h"
#include "tests/models/model_test.h"

namespace cliptag {
namespace {

std::string Quoted(const std::string& text) { return std::string(1, '\'').append(text) + "'"; }
std::string Behind(std::string prefix, const std::string& name) { return prefix.append(name); }

constexpr char kOpenClipWeights[] = "open_clip_model.safetensors";

class LeftoverTest : public ::testing::Test {
 protected:
  void CopyModel(const std::string& name) {
    for (const auto& file : std::filesystem::directory_iterator(dir_.path())) {
      std::filesystem::remove(file.path());
    }
    dir_.CopyFrom(DataDir() + "/models/" + name);
  }
  void Edit(const std::string& file, const std::function<void(Json&)>& edit) {
    Json json = Json::parse(ReadAll(dir_.File(file)));
    edit(json);
    dir_.Write(file, json.dump());
  }
  // Another tensor of two numbers, of half precision.
  void Add(const std::string& file, const std::string& tensor) {
    const std::string whole = ReadAll(dir_.File(file));
    Json header = SafetensorsHeader(whole);
    uint64_t end = 0;
    for (const auto& [name, info] : header.items()) {
      if (name != "__metadata__") end = std::max(end, info["data_offsets"][1].get<uint64_t>());
    }
    header[tensor] = {{"dtype", "F16"}, {"shape", {2}}, {"data_offsets", {end, end + 4}}};
    dir_.Write(file, WithSafetensorsHeader(whole, header, std::string(4, '\0')));
  }
  void SetScalar(const std::string& file, const std::string& tensor, float value) {
    std::string whole = ReadAll(dir_.File(file));
    const Json info = SafetensorsHeader(whole)[tensor];
    ASSERT_EQ(info["dtype"], "F32");
    uint64_t header_size = 0;
    std::memcpy(&header_size, whole.data(), sizeof(header_size));
    std::memcpy(&whole[8 + header_size + info["data_offsets"][0].get<uint64_t>()], &value,
                sizeof(value));
    dir_.Write(file, whole);
  }
  void Rename(const std::string& file, const std::function<std::string(std::string)>& name_of) {
    const std::string whole = ReadAll(dir_.File(file));
    const Json old = SafetensorsHeader(whole);
    Json header;
    for (const auto& [name, info] : old.items()) {
      header[name == "__metadata__" ? name : name_of(name)] = info;
    }
    dir_.Write(file, WithSafetensorsHeader(whole, header));
  }
  Status Load() const {
    const auto backend = CreateRefBackend();
    return ClipModel::Load(dir_.path(), *backend).status();
  }
  TempDir dir_;
};

TEST_F(LeftoverTest, FewerLayersThanStored) {
  CopyModel("openclip");
  const Json whole = Json::parse(ReadAll(dir_.File("open_clip_config.json")));
  for (const char* tower : {"vision_cfg", "text_cfg"}) {
    Json changed = whole;
    changed["model_cfg"][tower]["layers"] = 1;
    dir_.Write("open_clip_config.json", changed.dump());
    const std::string prefix = std::string(tower) == "text_cfg" ? "" : "visual.";
    ExpectError(Load(), StatusCode::kDataLoss,
                {kOpenClipWeights, Behind("'", prefix) + "transformer.resblocks.1.", "11 others",
                 dir_.path()});
  }
}

TEST_F(LeftoverTest, FewerLayersThanStoredHuggingFace) {
  CopyModel("hf");
  Edit("config.json", [](Json& json) { json["text_config"]["num_hidden_layers"] = 1; });
  ExpectError(Load(), StatusCode::kDataLoss, {"'text_model.encoder.layers.1.", "15 others"});
}

TEST_F(LeftoverTest, ANormThatTheConfigurationHasNot) {
  CopyModel("openclip");
  Edit("open_clip_config.json",
       [](Json& json) { json["model_cfg"]["vision_cfg"]["no_ln_pre"] = true; });
  ExpectError(Load(), StatusCode::kDataLoss, {"'visual.ln_pre.bias'"});
}

TEST_F(LeftoverTest, LayerScalesThatTheConfigurationHasNot) {
  CopyModel("openclip-avg-final-layerscale");
  Edit("open_clip_config.json",
       [](Json& json) { json["model_cfg"]["text_cfg"].erase("ls_init_value"); });
  ExpectError(Load(), StatusCode::kDataLoss, {"ls_1.gamma'"});
}

TEST_F(LeftoverTest, AnyOther) {
  for (const auto& [model, file] :
       {std::pair("hf", "model.safetensors"), std::pair("openclip", kOpenClipWeights)}) {
    for (const char* name : {"extra", "classifier.weight", "visual.adapter.weight",
                             "visual.transformer.resblocks.0.attn.q_norm.weight"}) {
      CopyModel(model);
      Add(file, name);
      ExpectError(Load(), StatusCode::kDataLoss, {Quoted(name)});
    }
  }
}

TEST_F(LeftoverTest, HarmlessOnes) {
  CopyModel("openclip");
  for (const char* name :
       {"attn_mask", "transformer.resblocks.0.attn_mask", "text.attn_mask", "input_resolution",
        "context_length", "vocab_size", "text_decoder.ln_final.weight", "position_ids",
        "visual.bn1.num_batches_tracked", "optimizer.state.0.exp_avg", "n_averaged"}) {
    Add(kOpenClipWeights, name);
  }
  EXPECT_EQ(Load().message(), "");
  EXPECT_FALSE(IsHarmless("visual.context_length"));
  EXPECT_FALSE(IsHarmless("my_attn_mask"));
}

TEST_F(LeftoverTest, ShardsHoldMoreThanTheirIndexTells) {
  CopyModel("hf-legacy-gelu-sharded-bf16");
  Add("model-00001-of-00002.safetensors", "text_model.embeddings.position_ids");
  EXPECT_EQ(Load().message(), "");
  Add("model-00001-of-00002.safetensors", "another");
  ExpectError(Load(), StatusCode::kDataLoss, {"'another'"});
}

TEST_F(LeftoverTest, AScaleOfLogitsIsNeeded) {
  for (const auto& [model, file] :
       {std::pair("hf", "model.safetensors"), std::pair("openclip", kOpenClipWeights)}) {
    CopyModel(model);
    Rename(file, [](std::string name) { return name == "logit_scale" ? "attn_mask" : name; });
    ExpectError(Load(), StatusCode::kDataLoss, {file, "'logit_scale' is missing"});
  }
}

TEST_F(LeftoverTest, AScaleOfLogitsIsAFiniteNumber) {
  for (const float scale : {-HUGE_VALF, HUGE_VALF, NAN, 100.0f}) {  // exp(100) overflows a float
    CopyModel("hf");
    SetScalar("model.safetensors", "logit_scale", scale);
    ExpectError(Load(), StatusCode::kDataLoss, {"logit_scale", "not a finite number"});
  }
  CopyModel("hf");
  SetScalar("model.safetensors", "logit_scale", 3.0f);
  EXPECT_EQ(Load().message(), "");
}

TEST_F(LeftoverTest, WhatWasWrappedAroundAModel) {
  const std::function<std::string(std::string)> wrappings[] = {
      [](std::string name) { return Behind("_orig_mod.", name); },
      [](std::string name) { return Behind("module._orig_mod.", name); },
      [](std::string name) { return Behind("base_model.model.", name); },
      [](std::string name) { return Behind("_fsdp_wrapped_module.student.clip.", name); },
      // One tower alone was compiled, or its blocks.
      [](std::string name) {
        return name.starts_with("visual.") ? Behind("visual._orig_mod.", name.substr(7)) : name;
      },
      [](std::string name) {
        const size_t block = name.find("resblocks.");
        return block == std::string::npos ? name
                                          : name.insert(block + 12, "_checkpoint_wrapped_module.");
      }};
  for (const auto& wrapping : wrappings) {
    CopyModel("openclip");
    Rename(kOpenClipWeights, wrapping);
    EXPECT_EQ(Load().message(), "") << wrapping("visual.proj");
    Add(kOpenClipWeights, "criterion.weight");
    ExpectError(Load(), StatusCode::kDataLoss, {"'criterion.weight'"});
  }
  CopyModel("mobileclip-s");
  Rename(kOpenClipWeights, [](std::string name) { return Behind("_orig_mod.", name); });
  EXPECT_EQ(Load().message(), "");
}

TEST_F(LeftoverTest, SeveralModelsInOneFile) {
  CopyModel("openclip");
  Add(kOpenClipWeights, "ema.visual.conv1.weight");
  ExpectError(Load(), StatusCode::kDataLoss, {"2 models", "'ema.'", "alone"});
  CopyModel("openclip");
  Add(kOpenClipWeights, "module.visual.proj");
  ExpectError(Load(), StatusCode::kDataLoss, {"'visual.proj' twice", "'module.visual.proj'"});
}

// What such a file does hold is told.
TEST_F(LeftoverTest, AnotherKindOfModel) {
  CopyModel("openclip");
  dir_.Write(
      kOpenClipWeights,
      Safetensors(R"({"bert.a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}})", 4));
  ExpectError(Load(), StatusCode::kDataLoss,
              {"'visual.conv1.weight'", "missing", "'bert.a' and 0 others"});
}

TEST(WeightFileTest, FilesUnderAWrongName) {
  TempDir dir;
  const std::string archive = ReadAll(DataDir() + "/torch/kinds.bin");
  const std::string old = ReadAll(DataDir() + "/torch/old.bin");
  const struct {
    std::string content, says;
  } cases[] = {{archive, "an archive of PyTorch's"},
               {old, "an archive of PyTorch's"},
               {"<!DOCTYPE html>\n<html><head>", "a web page (HTML)"},
               {"\xEF\xBB\xBF \r\n<html>", "a web page (HTML)"},
               {R"({"error": "Repository not found"})", "a text (JSON)"},
               {"version https://git-lfs.github.com/spec/v1\n", "git-lfs"}};
  for (const auto& c : cases) {
    dir.Write("model.safetensors", c.content);
    ExpectError(OpenWeightFile(dir.File("model.safetensors")), StatusCode::kDataLoss,
                {"model.safetensors", c.says});
  }
  for (size_t i = 2; i < std::size(cases); ++i) {
    dir.Write("open_clip_pytorch_model.bin", cases[i].content);
    ExpectError(OpenWeightFile(dir.File("open_clip_pytorch_model.bin")), StatusCode::kDataLoss,
                {cases[i].says});
  }
  // The lengths of these headers are the bytes of a pickle, of '<' and of '{'.
  for (const size_t length : {0x80, 0x3c, 0x7b}) {
    std::string header = R"({"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}})";
    header.resize(length, ' ');
    dir.Write("model.safetensors", Safetensors(header, 0));
    EXPECT_EQ(Must(OpenWeightFile(dir.File("model.safetensors")))->tensors().size(), 1u);
  }
}

class SelfCheckTest : public ::testing::Test {
 protected:
  // A model with NaN in `count` bytes of a tensor, from byte `first` on.
  void Damage(const std::string& tensor, size_t first, size_t count) {
    const std::string source = DataDir() + "/models/openclip";
    std::string file = ReadAll(source + "/" + kOpenClipWeights);
    const Json header = SafetensorsHeader(file);
    const size_t data = 8 + static_cast<size_t>(static_cast<unsigned char>(file[0])) +
                        (static_cast<size_t>(static_cast<unsigned char>(file[1])) << 8) +
                        (static_cast<size_t>(static_cast<unsigned char>(file[2])) << 16);
    const size_t begin = data + header[tensor]["data_offsets"][0].get<size_t>() + first;
    std::fill_n(file.begin() + static_cast<std::ptrdiff_t>(begin), count, '\xff');
    dir_.CopyFrom(source);
    dir_.Write(kOpenClipWeights, file);
    model_ = Must(ClipModel::Load(dir_.path(), *backend_));
  }
  TempDir dir_;
  std::unique_ptr<Backend> backend_ = CreateRefBackend();
  std::unique_ptr<ClipModel> model_;
};

TEST_F(SelfCheckTest, TheTextTower) {
  Damage("transformer.resblocks.1.mlp.c_fc.weight", 0, 2);
  ExpectError(model_->SelfCheck(), StatusCode::kDataLoss, {"text", "NaN", "damaged"});
}

TEST_F(SelfCheckTest, TheImageTower) {
  Damage("visual.transformer.resblocks.1.mlp.c_fc.weight", 0, 2);
  ExpectError(model_->SelfCheck(), StatusCode::kDataLoss, {"pictures", "NaN", "damaged"});
}

TEST_F(SelfCheckTest, OneWord) {
  const Json vocab = Json::parse(ReadAll(DataDir() + "/models/openclip/vocab.json"));
  constexpr size_t kRow = 32 * 2;  // the text tower's width, in half precision
  Damage("token_embedding.weight", vocab["x</w>"].get<size_t>() * kRow, kRow);
  EXPECT_EQ(model_->SelfCheck().message(), "");
  std::vector<float> rows(2 * 24);
  const std::vector<std::string> good = {"a cat", ""}, bad = {"a cat", "an x here"};
  EXPECT_EQ(model_->EncodeTexts(good, rows.data()).message(), "");
  ExpectError(model_->EncodeTexts(bad, rows.data()), StatusCode::kDataLoss, {"'an x here'", "NaN"});
}

}  // namespace
}  // namespace cliptag
