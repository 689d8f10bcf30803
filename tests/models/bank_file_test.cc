// Prompt banks as files: what is written comes back, and every way that one can be wrong.
#include "models/prompts/bank_file.h"

#include <atomic>
#include <fstream>
#include <thread>

#include "models/io/json.h"
#include "models/tower_identity.h"
#include "tests/models/model_test.h"

namespace cliptag {
namespace {

std::shared_ptr<const std::vector<float>> Row(std::vector<float> values) {
  return std::make_shared<const std::vector<float>>(std::move(values));
}

PromptSpec TwoTags() {
  PromptSpec spec = Must(ParsePromptsFile(
      R"({"templates": ["a {}"], "background": ["a wall"],
          "tags": [{"label": "fire", "prompts": ["flames", "fire"], "negative": ["a lamp"],
                    "threshold": 0.6, "off-threshold": 0.25, "min-duration": 2.5},
                   {"label": "größe"}]})",
      "F"));
  spec.tags[0].row = Row({0.6f, 0.8f, 0});
  spec.tags[1].row = Row({0, 0, 1});
  spec.bank = {"", "vit", std::string(64, 'a')};
  return spec;
}

TEST(BankFileTest, WhatIsWrittenComesBack) {
  TempDir dir;
  const std::string path = dir.File("bank.safetensors");
  const Status written = WriteBankFile(path, TwoTags());
  ASSERT_TRUE(written.ok()) << written.message();
  const PromptSpec spec = Must(ReadPromptsFile(path));
  EXPECT_EQ(spec.bank.file, path);
  EXPECT_EQ(spec.bank.model, "vit");
  EXPECT_EQ(spec.bank.identity, std::string(64, 'a'));
  EXPECT_EQ(spec.templates, std::vector<std::string>{"a {}"});
  EXPECT_EQ(spec.background, std::vector<std::string>{"a wall"});
  ASSERT_EQ(spec.tags.size(), 2u);
  const TagSpec& fire = spec.tags[0];
  EXPECT_EQ(fire.label, "fire");
  EXPECT_EQ(fire.prompts, (std::vector<std::string>{"flames", "fire"}));
  EXPECT_EQ(fire.negatives, std::vector<std::string>{"a lamp"});
  EXPECT_EQ(fire.threshold, 0.6);
  EXPECT_EQ(fire.off_threshold, 0.25);
  EXPECT_EQ(fire.min_duration_s, 2.5);
  EXPECT_EQ(spec.tags[1].label, "größe");
  EXPECT_FLOAT_EQ((*fire.row)[1], 0.8f);
  EXPECT_EQ(*spec.tags[1].row, (std::vector<float>{0, 0, 1}));
  for (const auto& entry : std::filesystem::directory_iterator(dir.path())) {
    EXPECT_EQ(entry.path().filename(), "bank.safetensors") << "nothing is left beside it";
  }
}

TEST(BankFileTest, OnlyBackgroundAndNegativesAreEncoded) {
  std::vector<std::string> encoded;
  const TextEncodeFn encode = [&](std::span<const std::string> texts, float* rows, auto*) {
    for (const std::string& text : texts) {
      encoded.push_back(text);
      rows[0] = 1;
      rows[1] = rows[2] = 0;
      rows += 3;
    }
    return Status();
  };
  EXPECT_EQ(CountTexts(TwoTags()), 2u);
  const auto bank = Must(BuildPromptBank(TwoTags(), 3, encode));
  EXPECT_EQ(encoded, (std::vector<std::string>{"a wall", "a lamp"}));
  EXPECT_FLOAT_EQ(bank->row(0)[0], 0.6f);
  EXPECT_FLOAT_EQ(bank->row(1)[2], 1.0f);
  ExpectError(BuildPromptBank(TwoTags(), 4, encode), StatusCode::kInvalidArgument,
              {"3 numbers", "of 4"});
}

TEST(BankFileTest, AnotherModelsIsRefused) {
  PromptSpec spec = TwoTags();
  spec.bank.file = "B.safetensors";
  ModelConfig mine;
  mine.name = "mine";
  EXPECT_TRUE(FitToModel(mine, std::string(64, 'a'), &spec).ok());
  ExpectError(FitToModel(mine, std::string(64, 'b'), &spec), StatusCode::kInvalidArgument,
              {"B.safetensors", "the model vit", "aaaa", "not for mine", "bbbb"});
  spec.bank.model.clear();
  ExpectError(FitToModel(mine, "b", &spec), StatusCode::kInvalidArgument, {"another model"});
  spec.bank.identity = std::string(32, 'a');
  ExpectError(FitToModel(mine, std::string(64, 'a'), &spec), StatusCode::kInvalidArgument,
              {"B.safetensors", "earlier version", "make it again"});
}

TEST(BankFileTest, ASpecWithoutTemplatesTakesTheModels) {
  ModelConfig mine;
  mine.templates = {"a {}"};
  PromptSpec spec = Must(ParsePrompts("cat"));
  EXPECT_TRUE(FitToModel(mine, "b", &spec).ok());
  EXPECT_EQ(spec.templates, mine.templates);
  spec.templates = {"my {}"};
  EXPECT_TRUE(FitToModel(mine, "b", &spec).ok());
  EXPECT_EQ(spec.templates[0], "my {}");
}

TEST(BankFileTest, WhatCannotBeWritten) {
  TempDir dir;
  PromptSpec spec = TwoTags();
  ExpectError(WriteBankFile(dir.File("none/b.safetensors"), spec), StatusCode::kNotFound,
              {"none/b.safetensors"});
  spec.tags[1].images = {"a.png"};
  ExpectError(WriteBankFile(dir.File("b"), spec), StatusCode::kUnsupported, {"größe", "pictures"});
  spec.tags[1].images.clear();
  spec.tags[1].row = nullptr;
  ExpectError(WriteBankFile(dir.File("b"), spec), StatusCode::kInternal, {"größe"});
}

// A bank whose header is what the test says.
struct Broken {
  Json metadata = {{"format", "cliptag-prompt-bank-1"},
                   {"model", "vit"},
                   {"model_identity", std::string(64, 'a')},
                   {"prompts", R"({"tags": [{"label": "a"}, {"label": "b"}]})"}};
  const char* dtype = "F32";
  std::vector<int> shape = {2, 2};
  size_t bytes = 16;
  char fill = '\1';

  Result<PromptSpec> Read() const {
    TempDir dir;
    const Json header = {
        {"__metadata__", metadata},
        {"embeddings", {{"dtype", dtype}, {"shape", shape}, {"data_offsets", {0, bytes}}}}};
    std::string file = Safetensors(header.dump(), bytes);
    std::fill(file.end() - static_cast<std::ptrdiff_t>(bytes), file.end(), fill);
    dir.Write("b.safetensors", file);
    return ReadPromptsFile(dir.File("b.safetensors"));
  }
};

TEST(BankFileTest, BrokenOnesAreRefusedByName) {
  // Without a fault it loads.
  EXPECT_EQ(Broken{.fill = '\x3f'}.Read().status().message(), "");
  Broken no_format, no_model, no_prompts, pictures;
  no_format.metadata.erase("format");
  ExpectError(no_format.Read(), StatusCode::kInvalidArgument, {"b.safetensors", "no prompt bank"});
  no_model.metadata.erase("model_identity");
  ExpectError(no_model.Read(), StatusCode::kDataLoss, {"b.safetensors", "model_identity"});
  no_prompts.metadata.erase("prompts");
  ExpectError(no_prompts.Read(), StatusCode::kInvalidArgument, {"b.safetensors", "empty"});
  pictures.metadata["prompts"] =
      R"({"tags": [{"label": "a", "images": ["x.png"]}, {"label": "b"}]})";
  pictures.fill = '\x3f';
  ExpectError(pictures.Read(), StatusCode::kInvalidArgument, {"pictures"});
  ExpectError(Broken{.shape = {4, 1}}.Read(), StatusCode::kDataLoss, {"'embeddings'", "2 labels"});
  ExpectError(Broken{.shape = {4}}.Read(), StatusCode::kDataLoss, {"'embeddings'"});
  ExpectError(Broken{.dtype = "F16", .shape = {2, 4}}.Read(), StatusCode::kDataLoss, {"F32"});
  ExpectError(Broken{.fill = '\0'}.Read(), StatusCode::kDataLoss, {"\"a\"", "no direction"});
  ExpectError(Broken{.fill = '\xff'}.Read(), StatusCode::kDataLoss, {"\"a\"", "no direction"});
}

TEST(BankFileTest, TextsAreNoBanks) {
  EXPECT_FALSE(LooksLikeBank("12345678{\"tags\": []}"));
  EXPECT_FALSE(LooksLikeBank(""));
  EXPECT_TRUE(LooksLikeBank(Safetensors("{}", 0)));
}

TEST(BankFileTest, TheIdentityIsTheModels) {
  const TextEncoderFacts facts = Must(ReadTextIdentity(StarterDir()));
  EXPECT_EQ(facts.model, "starter");
  EXPECT_EQ(facts.identity.size(), 64u);
  EXPECT_NE(facts.identity, Must(ReadTextIdentity(DataDir() + "/models/hf")).identity);
  ExpectError(ReadTextIdentity("/none"), StatusCode::kNotFound, {"/none"});
}

// As `cp` does it: made empty, then written in pieces.
TEST(BankFileTest, OneThatIsWrittenOverWhileItIsReadIsReadOrRefused) {
  const TempDir dir;
  PromptSpec spec = TwoTags();
  for (int i = 0; i < 20'000; ++i) {
    TagSpec tag;
    tag.label = "label " + std::to_string(i);
    tag.prompts = {tag.label};
    tag.row = Row({0, 1, 0});
    spec.tags.push_back(std::move(tag));
  }
  const std::string path = dir.File("bank.safetensors");
  ASSERT_TRUE(WriteBankFile(path, spec).ok());
  const std::string bytes = ReadAll(path);
  std::atomic<bool> done = false;
  std::thread writer([&] {
    while (!done) {
      std::ofstream out(path, std::ios::binary | std::ios::trunc);
      for (size_t at = 0; at < bytes.size(); at += 65536) {
        out << bytes.substr(at, 65536) << std::flush;
      }
    }
  });
  for (int i = 0; i < 30; ++i) {
    const Result<PromptSpec> read = ReadPromptsFile(path);
    if (read.ok()) {
      EXPECT_EQ(read->tags.size(), spec.tags.size());
    } else {
      EXPECT_NE(read.status().message().find(path), std::string::npos) << read.status().message();
    }
  }
  done = true;
  writer.join();
  EXPECT_EQ(Must(ReadPromptsFile(path)).tags.size(), spec.tags.size());
}

}  // namespace
}  // namespace cliptag
