// Where models are looked for, which layout a directory has, and every tensor that can be wrong in
// it.
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <limits>

#include "models/clip_model.h"
#include "models/config/find_model.h"
#include "models/io/json.h"
#include "tests/models/model_test.h"

namespace cliptag {
namespace {

constexpr char kBareHf[] = R"({"model_type": "clip"})";
constexpr char kBareOpenClip[] =
    R"({"model_cfg": {"embed_dim": 512, "vision_cfg": {}, "text_cfg": {}}})";

TEST(ModelDirectoryTest, NothingThere) {
  TempDir dir;
  ExpectError(ReadModelConfig(dir.File("none")), StatusCode::kNotFound, {"none"});
  ExpectError(ReadModelConfig(dir.path()), StatusCode::kNotFound,
              {"config.json", "open_clip_config.json"});
}

TEST(ModelDirectoryTest, BothLayouts) {
  TempDir dir;
  dir.Write("config.json", kBareHf);
  dir.Write("open_clip_config.json", kBareOpenClip);
  dir.Write("model.safetensors", "");
  EXPECT_EQ(Must(ReadModelConfig(dir.path())).layout, Layout::kHuggingFace);
  dir.Write("open_clip_model.safetensors", "");
  EXPECT_EQ(Must(ReadModelConfig(dir.path())).layout, Layout::kOpenClip);
}

class FindModelTest : public ::testing::Test {
 protected:
  void SetUp() override {
    dir_.CopyFrom(StarterDir());  // makes the directory non-empty; models go into folders
    for (const char* name :
         {"a/org--name", "b/org--name", "b/other", "cache/cliptag/models/cached"}) {
      std::filesystem::create_directories(dir_.File(name));
      std::ofstream(dir_.File(std::string(name) + "/config.json")) << kBareHf;
    }
    std::filesystem::create_directories(dir_.File("b/empty"));
    setenv("CLIPTAG_MODEL_PATH", (dir_.File("a") + "::" + dir_.File("b")).c_str(), 1);
    setenv("XDG_CACHE_HOME", dir_.File("cache").c_str(), 1);
  }
  TempDir dir_;
};

TEST_F(FindModelTest, NamesAreLookedUpInOrder) {
  EXPECT_EQ(Must(FindModel("org--name")), dir_.File("a/org--name"));
  EXPECT_EQ(Must(FindModel("other")), dir_.File("b/other"));
  EXPECT_EQ(Must(FindModel("cached")), dir_.File("cache/cliptag/models/cached"));
  EXPECT_EQ(Must(FindModel(dir_.File("b/empty"))), dir_.File("b/empty"));  // a path is a path
}

TEST_F(FindModelTest, StarterIsAlwaysThere) {
  unsetenv("CLIPTAG_MODEL_PATH");
  unsetenv("XDG_CACHE_HOME");
  unsetenv("HOME");
  const ModelConfig config = Must(ReadModelConfig(Must(FindModel("starter"))));
  EXPECT_EQ(config.name, "starter");
  EXPECT_EQ(config.preprocess.size, 112);
}

TEST_F(FindModelTest, ErrorsListWhereItLooked) {
  ExpectError(FindModel("nobody"), StatusCode::kNotFound,
              {"nobody", dir_.File("a"), dir_.File("b"), "cliptag/models"});
  ExpectError(FindModel("empty"), StatusCode::kNotFound, {"empty"});
  ExpectError(FindModel("no/such"), StatusCode::kNotFound, {"no/such"});
  ExpectError(FindModel(""), StatusCode::kInvalidArgument, {"starter"});
  ExpectError(FindModel(".."), StatusCode::kNotFound, {"'..'"});
}

TEST_F(FindModelTest, ListsWhatItWouldFind) {
  const auto models = ListModels();
  int named = 0;
  for (const auto& [name, directory] : models) {
    EXPECT_EQ(Must(FindModel(name)), directory);
    named += name == "org--name" || name == "other" || name == "cached" || name == "starter";
    EXPECT_NE(name, "empty");
  }
  EXPECT_EQ(named, 4);
}

// Every single tensor with a wrong shape, or missing, is named.
class TensorErrorTest : public ::testing::TestWithParam<const char*> {
 protected:
  static std::string Weights() {
    return std::string(GetParam()) == "hf" ? "model.safetensors" : "open_clip_model.safetensors";
  }
  static std::string Edit(const std::string& file, const std::function<void(Json&)>& edit) {
    Json header = SafetensorsHeader(file);
    edit(header);
    return WithSafetensorsHeader(file, header);
  }
};

TEST_P(TensorErrorTest, EachIsNamed) {
  const std::string source = DataDir() + "/models/" + GetParam();
  const std::string file = ReadAll(source + "/" + Weights());
  const Json header = SafetensorsHeader(file);
  TempDir dir;
  dir.CopyFrom(source);
  const auto backend = CreateRefBackend();
  int checked = 0;
  for (const auto& [name, tensor] : header.items()) {
    if (name == "__metadata__" || name == "logit_scale") continue;
    if (name.ends_with(".num_batches_tracked")) continue;  // nobody asks for it
    SCOPED_TRACE(name);
    const std::string tensor_name = name;
    dir.Write(Weights(), Edit(file, [&](Json& h) {
                Json shape = h[tensor_name]["shape"];
                shape.insert(shape.begin(), 1);  // the same bytes, another shape
                h[tensor_name]["shape"] = shape;
              }));
    ExpectError(ClipModel::Load(dir.path(), *backend), StatusCode::kDataLoss,
                {Weights(), "'" + name + "'", "[1, "});
    dir.Write(Weights(), Edit(file, [&](Json& h) {
                h[tensor_name + "X"] = h[tensor_name];
                h.erase(tensor_name);
              }));
    ExpectError(ClipModel::Load(dir.path(), *backend), StatusCode::kDataLoss,
                {Weights(), "'" + name + "'", "missing"});
    ++checked;
  }
  EXPECT_GT(checked, 50);
}

INSTANTIATE_TEST_SUITE_P(Models, TensorErrorTest,
                         ::testing::Values("hf", "openclip", "openclip-resnet"),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

// Numbers no batch norm can have seen.
TEST(ResNetErrorTest, AVarianceBelowZero) {
  const std::string source = DataDir() + "/models/openclip-resnet";
  constexpr char kFile[] = "open_clip_model.safetensors";
  constexpr char kTensor[] = "visual.layer2.0.bn2.running_var";
  const std::string whole = ReadAll(source + "/" + kFile);
  uint64_t length = 0;
  std::memcpy(&length, whole.data(), 8);
  const Json header = Json::parse(whole.substr(8, length));
  ASSERT_EQ(header[kTensor]["dtype"], "F32");
  const size_t at = 8 + length + header[kTensor]["data_offsets"][0].get<size_t>() + 4;
  TempDir dir;
  dir.CopyFrom(source);
  const auto backend = CreateRefBackend();
  for (const float bad : {-1.0f, std::numeric_limits<float>::quiet_NaN()}) {
    std::string file = whole;
    std::memcpy(file.data() + at, &bad, 4);
    dir.Write(kFile, file);
    ExpectError(ClipModel::Load(dir.path(), *backend), StatusCode::kDataLoss,
                {kTensor, std::to_string(bad), "damaged"});
  }
}

// A configuration of one kind of tower over the weights of the other.
TEST(ResNetErrorTest, TheOtherKindOfTower) {
  const auto backend = CreateRefBackend();
  TempDir dir;
  dir.CopyFrom(DataDir() + "/models/openclip-resnet");
  const std::string resnet = ReadAll(dir.File("open_clip_config.json"));
  const std::string vit = ReadAll(DataDir() + "/models/openclip/open_clip_config.json");
  dir.Write("open_clip_config.json", vit);
  ExpectError(ClipModel::Load(dir.path(), *backend), StatusCode::kDataLoss,
              {"ResNet", "vision_cfg.layers"});
  TempDir other;
  other.CopyFrom(DataDir() + "/models/openclip");
  other.Write("open_clip_config.json", resnet);
  ExpectError(ClipModel::Load(other.path(), *backend), StatusCode::kDataLoss,
              {"visual.conv1.weight", "[2, 3, 3, 3]"});
}

// One block less than the configuration says, and another width.
TEST(ResNetErrorTest, ContradictoryConfigurations) {
  const auto backend = CreateRefBackend();
  TempDir dir;
  dir.CopyFrom(DataDir() + "/models/openclip-resnet");
  const Json config = Json::parse(ReadAll(dir.File("open_clip_config.json")));
  const struct {
    const char* field;
    Json value;
    std::vector<std::string> named;
  } cases[] = {
      {"layers", {1, 3, 1, 1}, {"'visual.layer2.2.conv1.weight'", "missing"}},
      {"width", 10, {"'visual.conv1.weight'", "[2, 3, 3, 3]", "[5, 3, 3, 3]"}},
      {"image_size", 96, {"'visual.attnpool.positional_embedding'", "[5, 160]", "[10, 160]"}}};
  for (const auto& c : cases) {
    Json changed = config;
    changed["model_cfg"]["vision_cfg"][c.field] = c.value;
    dir.Write("open_clip_config.json", changed.dump());
    ExpectError(ClipModel::Load(dir.path(), *backend), StatusCode::kDataLoss, c.named);
  }
}

}  // namespace
}  // namespace cliptag
