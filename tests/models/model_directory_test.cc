// Where models are looked for, which layout a directory has, and every tensor that can be wrong in
// it.
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>

#include "models/clip_model.h"
#include "models/json.h"
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
  EXPECT_EQ(config.vision.image_size, 112);
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
  // The file with `edit` done to its header, padded to the old length.
  static std::string Edit(std::string file, const std::function<void(Json&)>& edit) {
    uint64_t length = 0;
    std::memcpy(&length, file.data(), 8);
    Json header = Json::parse(file.substr(8, length));
    edit(header);
    std::string text = header.dump();
    EXPECT_LE(text.size(), length + 64);
    std::string out(8, '\0');
    const uint64_t size = text.size();
    std::memcpy(out.data(), &size, 8);
    return out + text + file.substr(8 + length);
  }
};

TEST_P(TensorErrorTest, EachIsNamed) {
  const std::string source = DataDir() + "/models/" + GetParam();
  const std::string file = ReadAll(source + "/" + Weights());
  uint64_t length = 0;
  std::memcpy(&length, file.data(), 8);
  const Json header = Json::parse(file.substr(8, length));
  TempDir dir;
  dir.CopyFrom(source);
  const auto backend = CreateRefBackend();
  int checked = 0;
  for (const auto& [name, tensor] : header.items()) {
    if (name == "__metadata__" || name == "logit_scale") continue;
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
  // Tensors that nobody asks for are ignored.
  dir.Write(Weights(), Edit(file, [&](Json& h) {
              h["extra"] = {{"dtype", "I64"}, {"shape", {0}}, {"data_offsets", {0, 0}}};
            }));
  EXPECT_EQ(ClipModel::Load(dir.path(), *backend).status().message(), "");
}

INSTANTIATE_TEST_SUITE_P(Models, TensorErrorTest, ::testing::Values("hf", "openclip"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace cliptag
