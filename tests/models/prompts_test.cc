// Prompts as users write them: lists, files, JSON; and the bank that is made of them.
#include "models/prompts/prompts.h"

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "tests/models/model_test.h"

namespace cliptag {
namespace {

using Strings = std::vector<std::string>;

Strings Labels(const PromptSpec& spec) {
  Strings out;
  for (const TagSpec& tag : spec.tags) out.push_back(tag.label);
  return out;
}

TEST(SplitListTest, SeparatesBySemicolonsAndNewlines) {
  EXPECT_EQ(Must(SplitList("car; bicycle;dog", "prompts")), (Strings{"car", "bicycle", "dog"}));
  EXPECT_EQ(Must(SplitList("car\nbicycle\r\ndog\n", "prompts")),
            (Strings{"car", "bicycle", "dog"}));
  EXPECT_EQ(Must(SplitList("  a red car ;", "prompts")), (Strings{"a red car"}));
  EXPECT_EQ(Must(SplitList("car;\n  dog;\n", "prompts")), (Strings{"car", "dog"}));
  EXPECT_EQ(Must(SplitList("naïve café; 犬", "prompts")), (Strings{"naïve café", "犬"}));
}

TEST(SplitListTest, EmptyEntriesAreErrors) {
  ExpectError(SplitList("car;;dog", "prompts"), StatusCode::kInvalidArgument,
              {"Entry 2", "prompts"});
  ExpectError(SplitList(";car", "prompts"), StatusCode::kInvalidArgument, {"Entry 1"});
  ExpectError(SplitList("car;;", "prompts"), StatusCode::kInvalidArgument, {"Entry 2"});
  ExpectError(SplitList("car\n\ndog", "prompts"), StatusCode::kInvalidArgument, {"Entry 2"});
  ExpectError(SplitList("", "templates"), StatusCode::kInvalidArgument, {"templates"});
  ExpectError(SplitList(" \n ", "prompts"), StatusCode::kInvalidArgument, {"prompts"});
  ExpectError(SplitList(";", "prompts"), StatusCode::kInvalidArgument, {"prompts"});
}

TEST(ParsePromptsTest, EachLabelIsItsPrompt) {
  const PromptSpec spec = Must(ParsePrompts("cat; a small dog"));
  ASSERT_EQ(Labels(spec), (Strings{"cat", "a small dog"}));
  EXPECT_EQ(spec.tags[1].prompts, (Strings{"a small dog"}));
  EXPECT_EQ(spec.tags[0].threshold, -1);
  EXPECT_TRUE(spec.templates.empty());
  ExpectError(ParsePrompts(""), StatusCode::kInvalidArgument, {"prompts"});
}

TEST(PromptsFileTest, OneLabelALine) {
  EXPECT_EQ(Labels(Must(ParsePromptsFile("cat\n a; b \r\ndog\n\n", "p.txt"))),
            (Strings{"cat", "a; b", "dog"}));
  EXPECT_EQ(Labels(Must(ParsePromptsFile("\xEF\xBB\xBF"
                                         "cat",
                                         "p.txt"))),
            (Strings{"cat"}));
  ExpectError(ParsePromptsFile("cat\n\ndog\n", "p.txt"), StatusCode::kInvalidArgument,
              {"p.txt:2:1", "empty"});
  ExpectError(ParsePromptsFile("  \n", "p.txt"), StatusCode::kInvalidArgument, {"p.txt", "empty"});
}

TEST(PromptsFileTest, Json) {
  const PromptSpec spec = Must(ParsePromptsFile(R"({
    "templates": ["a photo of a {}.", "a surveillance photo of a {}."],
    "background": "an empty street",
    "tags": [{"label": " fire ", "prompts": ["fire", "flames and smoke"],
              "negative": ["a sunset"], "images": ["fire1.jpg"],
              "threshold": 0.6, "off-threshold": 0.4, "min-duration": 2.0},
             {"label": "dog"}]})",
                                                "p.json"));
  EXPECT_EQ(spec.templates.size(), 2u);
  EXPECT_EQ(spec.background, (Strings{"an empty street"}));
  ASSERT_EQ(Labels(spec), (Strings{"fire", "dog"}));
  EXPECT_EQ(spec.tags[0].prompts, (Strings{"fire", "flames and smoke"}));
  EXPECT_EQ(spec.tags[0].negatives, (Strings{"a sunset"}));
  EXPECT_EQ(spec.tags[0].images, (Strings{"fire1.jpg"}));
  EXPECT_EQ(spec.tags[0].threshold, 0.6);
  EXPECT_EQ(spec.tags[0].off_threshold, 0.4);
  EXPECT_EQ(spec.tags[0].min_duration_s, 2.0);
  EXPECT_EQ(spec.tags[1].prompts, (Strings{"dog"}));
}

TEST(PromptsFileTest, ErrorsNameFileLineAndColumn) {
  const struct {
    const char* text;
    std::vector<std::string> named;
  } cases[] = {
      {"{\"tags\": [\n  {\"label\": \"a\",}]}", {"p.json:2:17", "not valid JSON"}},
      {"{\"tags\": [\n  {\"label\": \"é\" x}]}", {"p.json:2:17", "not valid JSON"}},
      {"{\n \"tags\": [{\"label\": \"a\"}]", {"p.json:2:", "not valid JSON"}},
      {"{\"tags\": [{\"label\": \"a\"}],\n \"template\": []}", {"p.json:2:2", "\"template\""}},
      {"{\"tags\": [\n  {\"label\": \"a\",\n   \"treshold\": 1}]}", {"p.json:3:4", "\"treshold\""}},
      {"{\"tags\": [{\"label\": \"a\"},\n {\"label\": \"\"}]}", {"p.json:2:2", "label"}},
      {"{\"tags\": [{\"label\": \"a\"},\n {\"prompts\": []}]}", {"p.json:2:2", "label"}},
      {"{\"tags\": [\n3]}", {"p.json:2:1", "label"}},
      {"{\"tags\": [{\"label\": \"a\",\n\"threshold\": 1.5}]}", {"p.json:2:1", "threshold", "1.5"}},
      {"{\"tags\": [{\"label\": \"a\",\n\"min-duration\": \"2\"}]}",
       {"p.json:2:1", "min-duration"}},
      {"{\"tags\": [{\"label\": \"a\", \"threshold\": 0.2,\n\"off-threshold\": 0.3}]}",
       {"p.json:2:1", "off-threshold"}},
      {"{\"tags\": [{\"label\": \"a\", \"prompts\": [\"x\",\n \"\"]}]}", {"p.json:2:2", "prompts"}},
      {"{\"tags\": [{\"label\": \"a\",\n\"label\": \"b\"}]}", {"p.json:2:1", "twice"}},
      {"{\"background\": [\"a\"]}", {"p.json:1:1", "tags"}},
      {"{\"tags\": {}}", {"p.json:1:2", "tags"}},
      {"[\"a\"]", {"p.json:1:1", "object"}},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.text);
    const Status status = ParsePromptsFile(c.text, "p.json").status();
    ASSERT_FALSE(status.ok());
    for (const std::string& name : c.named) {
      EXPECT_NE(status.message().find(name), std::string::npos) << status.message();
    }
  }
  std::string deep(1000, '[');
  EXPECT_FALSE(ParsePromptsFile(deep, "p.json").ok());
}

TEST(PromptsFileTest, FilesThatCannotBeRead) {
  TempDir dir;
  ExpectError(ReadPromptsFile(dir.File("none.txt")), StatusCode::kNotFound, {"none.txt"});
  ExpectError(ReadPromptsFile(dir.path()), StatusCode::kInvalidArgument, {dir.path()});
  dir.Write("p.txt", "cat\ndog\n");
  EXPECT_EQ(Must(ReadPromptsFile(dir.File("p.txt"))).tags.size(), 2u);
}

TEST(PromptsFileTest, IsBounded) {
  std::string many;
  for (int i = 0; i <= 1'000'000; ++i) many += "a\n";
  ExpectError(ParsePromptsFile(many, "p.txt"), StatusCode::kInvalidArgument,
              {"p.txt", "1000009 texts", "1000000"});
  std::string some = R"({"templates": ["{}", "a {}", "the {}"], "background": "b", "tags": [)";
  for (int i = 0; i < 333'332; ++i) some += "{\"label\":\"a\"},";
  EXPECT_TRUE(ParsePromptsFile(some + "]}", "p.json").status().message().find("JSON") !=
              std::string::npos);
  some.pop_back();
  EXPECT_EQ(Must(ParsePromptsFile(some + "]}", "p.json")).tags.size(), 333'332u);
  ExpectError(ParsePromptsFile(some + ",{\"label\":\"a\"}]}", "p.json"),
              StatusCode::kInvalidArgument, {"p.json", "1000002 texts"});
  std::string longest;
  for (int i = 0; i < 10'000; ++i) longest += "é";
  EXPECT_TRUE(ParsePrompts(longest).ok());
  ExpectError(ParsePrompts("a; " + longest + "e"), StatusCode::kInvalidArgument,
              {"a label has 10001 characters"});
  ExpectError(ParsePromptsFile(R"({"tags": [{"label": "a", "negative": [")" + longest + "ee\"]}]}",
                               "p.json"),
              StatusCode::kInvalidArgument, {"p.json", "a negative prompt has 10002 characters"});
  const TempDir dir;
  dir.Write("p.txt", "a");
  std::filesystem::resize_file(dir.File("p.txt"), (64 << 20) + 1);
  ExpectError(ReadPromptsFile(dir.File("p.txt")), StatusCode::kInvalidArgument,
              {"p.txt", "larger than the 64 MB that a prompts file may have"});
}

// A text's vector is (length, number of 'x', 1), scaled to unit length.
Status FakeEncode(std::span<const std::string> texts, float* out, Strings* truncated) {
  for (const std::string& text : texts) {
    const float v[3] = {static_cast<float>(text.size()),
                        static_cast<float>(std::count(text.begin(), text.end(), 'x')), 1};
    const float length = std::sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2]);
    for (int i = 0; i < 3; ++i) *out++ = v[i] / length;
    if (text.size() > 40) truncated->push_back(text);
  }
  return {};
}

TEST(PromptBankTest, MeansOfUnitVectorsRenormalised) {
  PromptSpec spec = Must(ParsePromptsFile(
      R"({"templates": ["{}", "an {} x {}"], "background": ["bg"],
          "tags": [{"label": "one", "prompts": ["x", "yyyy"], "negative": ["n1", "n2x"]},
                   {"label": "two"}]})",
      "p"));
  const auto bank = Must(BuildPromptBank(spec, 3, FakeEncode));
  EXPECT_EQ(bank->tags, 2);
  EXPECT_EQ(bank->background, 1);
  ASSERT_EQ(bank->row_count(), 2 + 1 + 2);
  EXPECT_EQ(bank->negatives[0].first, 3);
  EXPECT_EQ(bank->negatives[0].count, 2);
  EXPECT_EQ(bank->negatives[1].count, 0);
  const auto expect_row = [&](int row, const Strings& texts) {
    std::vector<float> vectors(texts.size() * 3);
    Strings unused;
    ASSERT_TRUE(FakeEncode(texts, vectors.data(), &unused).ok());
    double sum[3] = {}, squares = 0;
    for (size_t i = 0; i < vectors.size(); ++i) sum[i % 3] += vectors[i];
    for (double s : sum) squares += s * s;
    for (int i = 0; i < 3; ++i) {
      EXPECT_NEAR(bank->row(row)[i], sum[i] / std::sqrt(squares), 1e-6) << "row " << row;
    }
  };
  expect_row(0, {"x", "an x x x", "yyyy", "an yyyy x yyyy"});
  expect_row(1, {"two", "an two x two"});
  expect_row(2, {"bg", "an bg x bg"});
  expect_row(3, {"n1", "an n1 x n1"});
  expect_row(4, {"n2x", "an n2x x n2x"});
}

TEST(PromptBankTest, ManyPromptsAndCutOnes) {
  PromptSpec spec = Must(ParsePrompts("tag"));
  spec.tags[0].prompts.assign(2500, "the same");
  spec.tags[0].prompts[1700] = std::string(50, 'y');
  const auto bank = Must(BuildPromptBank(spec, 3, FakeEncode));
  EXPECT_EQ(bank->row_count(), 1 + static_cast<int>(DefaultBackground().size()));
  EXPECT_EQ(bank->truncated, (Strings{"a photo of a " + std::string(50, 'y') + "."}));
  EXPECT_EQ(bank->spec.templates, DefaultTemplates());
  EXPECT_EQ(bank->spec.background, DefaultBackground());
}

TEST(PromptBankTest, TagsThatAreInTheBackgroundAreNamed) {
  PromptSpec spec = Must(ParsePrompts("a cat; Garden; a dog; room"));
  EXPECT_EQ(TagsInBackground(spec), "") << "no background yet";
  spec = Must(BuildPromptBank(spec, 3, FakeEncode))->spec;
  const std::string two = TagsInBackground(spec);
  EXPECT_TRUE(two.starts_with("2 tags ") && two.find("\"Garden\"") != std::string::npos) << two;
  spec.background = {"a wall", " A DOG "};
  EXPECT_TRUE(TagsInBackground(spec).starts_with("The tag \"a dog\" is "))
      << TagsInBackground(spec);
  spec.tags[2].prompts = {"a dog", "a puppy"};
  EXPECT_EQ(TagsInBackground(spec), "") << "they are not the same";
}

TEST(PromptAdviceTest, OfLabelsThatAreHardlyMeant) {
  const auto advice = [](const PromptSpec& spec, Scoring scoring = Scoring::kContrast,
                         double bias = 0) {
    std::string all;
    for (const std::string& sentence : PromptAdvice(spec, scoring, bias)) all += sentence + "\n";
    return all;
  };
  EXPECT_NE(advice(Must(ParsePrompts("cat, dog"))).find("\"cat, dog\" is one label"),
            std::string::npos);
  EXPECT_NE(advice(Must(ParsePromptsFile("cat, dog\n", "f"))).find("is one label"),
            std::string::npos);
  EXPECT_EQ(advice(Must(ParsePrompts("a street, at night; dog"))), "");
  EXPECT_EQ(advice(Must(ParsePromptsFile("a street, at night\ndog\n", "f"))), "");
  EXPECT_NE(advice(Must(ParsePrompts("cat; dog; Cat"))).find("\"Cat\" is given more than once"),
            std::string::npos);
  const PromptSpec one = Must(ParsePrompts("cat"));
  EXPECT_EQ(advice(one), "");
  EXPECT_NE(advice(one, Scoring::kSoftmax).find("Softmax over one label"), std::string::npos);
  EXPECT_EQ(advice(Must(ParsePrompts("cat; dog")), Scoring::kSoftmax), "");
  EXPECT_NE(advice(one, Scoring::kSigmoid).find("no bias"), std::string::npos);
  EXPECT_EQ(advice(one, Scoring::kSigmoid, -10), "");
}

// "a photo of a {}." with "a cat" is "a photo of a cat.".
TEST(PromptBankTest, AnArticleIsNotDoubled) {
  PromptSpec spec = Must(ParsePrompts("a cat; An owl; cat; the sky; athlete; a"));
  spec.templates = {"a photo of a {}.", "{} in THE {}", "la {}", "Banana {}"};
  spec.background = {"a wall"};
  std::vector<std::string> texts;
  Must(BuildPromptBank(spec, 3, [&](std::span<const std::string> some, float* rows, auto* cut) {
    texts.insert(texts.end(), some.begin(), some.end());
    return FakeEncode(some, rows, cut);
  }));
  const std::vector<std::string> expected = {"a photo of a cat.",
                                             "a cat in a cat",
                                             "la a cat",
                                             "Banana a cat",
                                             "a photo of An owl.",
                                             "An owl in An owl",
                                             "la An owl",
                                             "Banana An owl",
                                             "a photo of a cat.",
                                             "cat in THE cat",
                                             "la cat",
                                             "Banana cat",
                                             "a photo of the sky.",
                                             "the sky in the sky",
                                             "la the sky",
                                             "Banana the sky",
                                             "a photo of a athlete.",
                                             "athlete in THE athlete",
                                             "la athlete",
                                             "Banana athlete",
                                             "a photo of a a.",
                                             "a in THE a",
                                             "la a",
                                             "Banana a"};
  texts.resize(std::min(texts.size(), expected.size()));
  EXPECT_EQ(texts, expected);
}

TEST(PromptBankTest, RefusesByName) {
  PromptSpec spec = Must(ParsePrompts("cat"));
  spec.templates = {"a photo"};
  ExpectError(BuildPromptBank(spec, 3, FakeEncode), StatusCode::kInvalidArgument,
              {"a photo", "{}"});
  ExpectError(BuildPromptBank({}, 3, FakeEncode), StatusCode::kInvalidArgument, {"No prompts"});
  const TextEncodeFn zeros = [](std::span<const std::string> texts, float* out, Strings*) {
    std::fill_n(out, texts.size() * 3, 0.0f);
    return Status();
  };
  ExpectError(BuildPromptBank(Must(ParsePrompts("cat")), 3, zeros), StatusCode::kInternal,
              {"row 0"});
  const TextEncodeFn fails = [](std::span<const std::string>, float*, Strings*) {
    return Internal("The encoder is broken.");
  };
  ExpectError(BuildPromptBank(Must(ParsePrompts("cat")), 3, fails), StatusCode::kInternal,
              {"The encoder is broken"});
}

}  // namespace
}  // namespace cliptag
