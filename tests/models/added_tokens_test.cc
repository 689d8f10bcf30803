// Tokens that were added to CLIP's vocabulary, in each of the files that may list them.
#include "models/text/added_tokens.h"

#include "models/io/json.h"
#include "models/text/tokenizer.h"
#include "models/tower_identity.h"
#include "tests/models/model_test.h"

namespace cliptag {
namespace {

class AddedTokensTest : public ::testing::Test {
 protected:
  void SetUp() override {
    dir_.CopyFrom(DataDir() + "/models/hf");
    config_ = Must(ReadModelConfig(dir_.path()));
    data_ = Json::parse(ReadAll(DataDir() + "/models/added_tokens.json"));
    config_.text.vocab_size += static_cast<int>(data_["added_tokens"].size()) - 2;
  }
  // The vocabulary in one tokenizer.json, with these tokens beside it.
  void WriteTokenizerJson(const Json& added) {
    Json merges = Json::array();
    std::istringstream lines(ReadAll(dir_.File("merges.txt")));
    for (std::string line; std::getline(lines, line);) {
      if (!line.empty() && line[0] != '#') merges.push_back(line);
    }
    const Json root = {{"added_tokens", added},
                       {"model",
                        {{"type", "BPE"},
                         {"end_of_word_suffix", "</w>"},
                         {"vocab", Json::parse(ReadAll(dir_.File("vocab.json")))},
                         {"merges", merges}}}};
    dir_.Write("tokenizer.json", root.dump());
  }
  std::vector<int32_t> Ids(const Tokenizer& tokenizer, const std::string& text) {
    const Tokens tokens = Must(tokenizer.Encode(text));
    return {tokens.ids.begin() + 1, tokens.ids.begin() + tokens.eot};
  }
  // transformers' ids, but for texts that say one of these.
  void ExpectIds(const std::vector<std::string>& without = {}) {
    const auto tokenizer = Must(LoadTokenizer(config_));
    int checked = 0;
    for (const Json& item : data_["texts"]) {
      const std::string text = item["text"];
      const auto says = [&](const std::string& word) {
        return text.find(word) != std::string::npos;
      };
      if (std::any_of(without.begin(), without.end(), says)) continue;
      EXPECT_EQ(Ids(*tokenizer, text), item["ids"].get<std::vector<int32_t>>()) << text;
      ++checked;
    }
    EXPECT_GE(checked, 10);
  }
  void RemoveVocabulary() {
    std::filesystem::remove(dir_.File("vocab.json"));
    std::filesystem::remove(dir_.File("merges.txt"));
  }
  TempDir dir_;
  ModelConfig config_;
  Json data_;
};

TEST_F(AddedTokensTest, TokenizerJsonAlone) {
  WriteTokenizerJson(data_["added_tokens"]);
  RemoveVocabulary();
  ExpectIds();
}

TEST_F(AddedTokensTest, TokenizerJsonBesideAVocabulary) {
  WriteTokenizerJson(data_["added_tokens"]);
  ExpectIds();
}

TEST_F(AddedTokensTest, TokenizerConfig) {
  Json decoder;
  for (const Json& token : data_["added_tokens"]) {
    Json one = token;
    one.erase("id");
    decoder[std::to_string(token["id"].get<int>())] = one;
  }
  dir_.Write("tokenizer_config.json", Json{{"added_tokens_decoder", decoder}}.dump());
  ExpectIds();
}

// The oldest, which tells of names and ids alone.
TEST_F(AddedTokensTest, AddedTokensJson) {
  Json map;
  for (const Json& token : data_["added_tokens"]) {
    map[token["content"].get<std::string>()] = token["id"];
  }
  dir_.Write("added_tokens.json", map.dump());
  dir_.Write("special_tokens_map.json",
             R"({"additional_special_tokens": [{"content": "<|Pad|>"}]})");
  ExpectIds({"zed", "Raw"});
}

TEST_F(AddedTokensTest, PublicVocabulary) {
  RemoveVocabulary();
  config_.text.vocab_size = 49409;
  dir_.Write("added_tokens.json", R"({"<cat-toy>": 49408, "<|endoftext|>": 49407})");
  const auto tokenizer = Must(LoadTokenizer(config_));
  EXPECT_EQ(Ids(*tokenizer, "a <cat-toy>"), (std::vector<int32_t>{320, 49408}));
}

// The tokens of words stay words, whatever the files say: "!" fills the texts of some models.
TEST_F(AddedTokensTest, TokensOfWords) {
  const Json vocab = Json::parse(ReadAll(dir_.File("vocab.json")));
  const std::string text = "hello! photo";
  const std::vector<int32_t> plain = Ids(*Must(LoadTokenizer(config_)), text);
  dir_.Write("added_tokens.json",
             Json{{"!", vocab["!"]}, {"ho", vocab["ho"]}, {"a</w>", vocab["a</w>"]}}.dump());
  EXPECT_EQ(Ids(*Must(LoadTokenizer(config_)), text), plain);
  // One that stands in the vocabulary, and that no word is made of, is not such a token.
  Json more = vocab;
  more["<cat-toy>"] = vocab.size();
  dir_.Write("vocab.json", more.dump());
  dir_.Write("added_tokens.json", Json{{"<cat-toy>", vocab.size()}}.dump());
  EXPECT_EQ(Ids(*Must(LoadTokenizer(config_)), "<cat-toy>"),
            (std::vector<int32_t>{static_cast<int32_t>(vocab.size())}));
}

TEST_F(AddedTokensTest, FilesThatDoNotBelongTogether) {
  const struct {
    const char *file, *content;
    std::vector<std::string> named;
  } cases[] = {
      {"added_tokens.json", R"({"<a>": 5000})", {"'<a>'", "5000", "vocab_size is 821"}},
      {"added_tokens.json", R"({"a</w>": 815})", {"'a</w>'", "815", "in the vocabulary"}},
      {"added_tokens.json", R"({"<a>": -1})", {"added_tokens.json", "<a>"}},
      {"added_tokens.json", R"({"<a>": "x"})", {"added_tokens.json", "<a>"}},
      {"tokenizer_config.json",
       R"({"added_tokens_decoder": {"12x": {"content": "<a>"}}})",
       {"tokenizer_config.json", "no id"}},
      {"tokenizer_config.json",
       R"({"added_tokens_decoder": {"814": {"lstrip": true}}})",
       {"tokenizer_config.json", "no content"}},
      {"tokenizer.json",
       R"({"added_tokens": [{"content": "<a>", "id": 814}, {"content": "<a>", "id": 815}]})",
       {"tokenizer.json", "'<a>'", "815", "814"}}};
  for (const auto& c : cases) {
    dir_.Write(c.file, c.content);
    ExpectError(LoadTokenizer(config_), StatusCode::kDataLoss, c.named);
    std::filesystem::remove(dir_.File(c.file));
  }
  const std::string longer = Json{{std::string(1025, 'x'), 814}}.dump();
  dir_.Write("added_tokens.json", longer);
  ExpectError(LoadTokenizer(config_), StatusCode::kDataLoss, {"longer than 1024 bytes"});
}

// A cache of texts must not answer for a model with other tokens.
TEST_F(AddedTokensTest, AreOfTheTextTowersIdentity) {
  const std::string before = Must(ReadTextIdentity(dir_.path())).identity;
  dir_.Write("added_tokens.json", R"({"<cat-toy>": 813})");
  EXPECT_NE(Must(ReadTextIdentity(dir_.path())).identity, before);
}

TEST(AddedTokensTreeTest, TheFirstAndTheLongest) {
  AddedTokens tokens;
  tokens.Add(U"ab", 1, false);
  tokens.Add(U"abcd", 2, false);
  tokens.Add(U"bc", 3, true);
  const auto find = [&](std::u32string_view text, size_t from = 0) {
    const auto match = tokens.Find(text, from);
    return match ? std::pair(match->begin, match->id) : std::pair(size_t{99}, -1);
  };
  EXPECT_EQ(find(U"xabcx"), std::pair(size_t{1}, 1));
  EXPECT_EQ(find(U"xabcd"), std::pair(size_t{1}, 2));
  EXPECT_EQ(find(U"bcx bc_ bc"), std::pair(size_t{8}, 3));
  EXPECT_EQ(find(U"ab ab", 1), std::pair(size_t{3}, 1));
  EXPECT_EQ(find(U"a"), std::pair(size_t{99}, -1));
}

}  // namespace
}  // namespace cliptag
