// CLIP's tokenizer against open_clip's, and the ways its files can be wrong.
#include "models/text/tokenizer.h"

#include <fstream>

#include "models/io/json.h"
#include "models/text/bpe.h"
#include "models/text/embedded.h"
#include "tests/models/model_test.h"

namespace cliptag {
namespace {

std::unique_ptr<Tokenizer> Public(int context_length = 77, TextClean clean = TextClean::kLower) {
  ModelConfig config;
  config.path = "/nonexistent";
  config.text.context_length = context_length;
  config.text.clean = clean;
  return Must(LoadTokenizer(config));
}

// The ids between begin and end.
std::vector<int32_t> Words(const Tokenizer& tokenizer, std::string_view text) {
  const Tokens tokens = Must(tokenizer.Encode(text));
  return {tokens.ids.begin() + 1, tokens.ids.begin() + tokens.eot};
}

// The reference's ids of 1,051 texts that cleaning leaves as they are.
void ExpectReferenceIds(const Tokenizer& tokenizer) {
  std::ifstream in(DataDir() + "/models/tokenizer.jsonl");
  int wrong = 0, lines = 0;
  for (std::string line; std::getline(in, line);) {
    const Json item = Json::parse(line);
    ++lines;
    const std::string text = item["text"];
    const Tokens tokens = Must(tokenizer.Encode(text));
    auto wanted = item["ids"].get<std::vector<int32_t>>();
    wanted.resize(77);  // padded with zeros
    if (tokens.ids == wanted) continue;
    if (++wrong <= 5) ADD_FAILURE() << "line " << lines << ": " << text;
  }
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(lines, 1051);
}

TEST(TokenizerTest, PublicVocabularyEqualsOpenClip) { ExpectReferenceIds(*Public()); }

// The public vocabulary as vocab.json and merges.txt have it.
TEST(TokenizerTest, VocabularyFilesEqualThePublicOne) {
  std::vector<std::string> tokens;
  for (const char* end : {"", "</w>"}) {
    for (unsigned char byte : ByteOrder()) tokens.push_back(ByteSymbol(byte) + end);
  }
  std::string merges = "#version: 0.2\n";
  const auto pairs = EmbeddedClipMerges();
  for (size_t i = 0; i < pairs.size(); i += 2) {
    merges += tokens[pairs[i]] + " " + tokens[pairs[i + 1]] + "\n";
    tokens.push_back(tokens[pairs[i]] + tokens[pairs[i + 1]]);
  }
  tokens.insert(tokens.end(), {"<|startoftext|>", "<|endoftext|>"});
  ASSERT_EQ(tokens.size(), 49408u);
  Json vocabulary;
  for (size_t id = 0; id < tokens.size(); ++id) vocabulary[tokens[id]] = id;
  const TempDir dir;
  dir.Write("vocab.json", vocabulary.dump());
  dir.Write("merges.txt", merges);
  ModelConfig config;
  config.path = dir.path();
  ExpectReferenceIds(*Must(LoadTokenizer(config)));
}

// Texts that ftfy, HTML or the cleaning change; tests/models/make_goldens.py wrote what open_clip
// says.
TEST(TokenizerTest, CleaningEqualsOpenClip) {
  std::ifstream in(DataDir() + "/models/cleaning.jsonl");
  ASSERT_TRUE(in);
  int lines = 0;
  for (std::string line; std::getline(in, line); ++lines) {
    const Json item = Json::parse(line);
    const std::string clean = item["clean"];
    const auto tokenizer = Public(77, clean == "lower"        ? TextClean::kLower
                                      : clean == "whitespace" ? TextClean::kWhitespace
                                                              : TextClean::kCanonicalize);
    const std::string text = item["text"];
    EXPECT_EQ(Words(*tokenizer, text), item["ids"].get<std::vector<int32_t>>())
        << clean << ": " << item["text"].dump();
  }
  EXPECT_GE(lines, 60);
}

TEST(TokenizerTest, TruncationKeepsTheEndToken) {
  const auto tokenizer = Public(5);
  const Tokens tokens = Must(tokenizer->Encode("a photo of a cat"));
  EXPECT_EQ(tokens.ids, (std::vector<int32_t>{49406, 320, 1125, 539, 49407}));
  EXPECT_EQ(tokens.eot, 4);
  EXPECT_TRUE(tokens.truncated);
  const Tokens fits = Must(tokenizer->Encode("a cat"));
  EXPECT_EQ(fits.ids, (std::vector<int32_t>{49406, 320, 2368, 49407, 0}));
  EXPECT_FALSE(fits.truncated);
}

TEST(TokenizerTest, EmptyTextIsBeginAndEnd) {
  const Tokens tokens = Must(Public(4)->Encode(""));
  EXPECT_EQ(tokens.ids, (std::vector<int32_t>{49406, 49407, 0, 0}));
  EXPECT_EQ(tokens.eot, 1);
}

TEST(TokenizerTest, BytesThatAreNoUtf8BecomeReplacements) {
  const auto tokenizer = Public();
  EXPECT_EQ(Words(*tokenizer,
                  "a\xFF"
                  "b"),
            Words(*tokenizer, "a\uFFFDb"));
  EXPECT_EQ(Words(*tokenizer, "\xE2\x82"), Words(*tokenizer, "\uFFFD"));        // cut short
  EXPECT_EQ(Words(*tokenizer, "\xC0\x80"), Words(*tokenizer, "\uFFFD\uFFFD"));  // overlong
  EXPECT_EQ(Words(*tokenizer, "\xED\xA0\x80"), Words(*tokenizer, "\uFFFD\uFFFD\uFFFD"));
}

TEST(TokenizerTest, HugeTextsEndQuickly) {
  const auto tokenizer = Public();
  const Tokens letters = Must(tokenizer->Encode(std::string(10'000'000, 'a')));
  EXPECT_TRUE(letters.truncated);
  EXPECT_EQ(letters.ids.back(), 49407);
  std::string nested = "&";
  for (int i = 0; i < 3000; ++i) nested += "amp;";
  EXPECT_EQ(Words(*tokenizer, nested), Words(*tokenizer, "&"));
}

TEST(TokenizerTest, StarterHasItsOwnVocabulary) {
  const auto tokenizer = Must(LoadTokenizer(Must(ReadModelConfig(StarterDir()))));
  const Tokens tokens = Must(tokenizer->Encode("a photo of a cat."));
  ASSERT_EQ(tokens.ids.size(), 24u);
  EXPECT_EQ(tokens.ids[0], 8512);
  EXPECT_EQ(tokens.ids[tokens.eot], 8513);
  // The spelt-out names of its special tokens are these tokens; the first end counts.
  const Tokens special = Must(tokenizer->Encode("a <|endoftext|> b"));
  EXPECT_EQ(special.ids[2], 8513);
  EXPECT_EQ(special.eot, 2);
}

TEST(TokenizerTest, MergesAreAppliedRankByRankEverywhere) {
  // What the first merge makes has a lower rank than it: still both places of the first come first.
  const std::unordered_map<std::string, int32_t> vocab = {
      {"a", 0}, {"b", 1}, {"c", 2}, {"ab", 3}, {"aba", 4}, {"c</w>", 5}, {"aa", 6}, {"aaa", 7}};
  const Bpe bpe = Must(
      Bpe::FromStrings(vocab, {{"ab", "a"}, {"a", "b"}, {"a", "a"}, {"aa", "a"}}, 9, "merges"));
  const auto encode = [&](std::string_view word) {
    std::vector<int32_t> ids;
    bpe.Encode(word, &ids);
    return ids;
  };
  EXPECT_EQ(encode("ababc"), (std::vector<int32_t>{3, 3, 5}));
  EXPECT_EQ(encode("abac"), (std::vector<int32_t>{4, 5}));
  EXPECT_EQ(encode("aaaaac"), (std::vector<int32_t>{6, 7, 5}));  // pairs from the left, then "aa a"
  EXPECT_EQ(encode("ax"), (std::vector<int32_t>{0, 9}));         // a byte that the vocabulary lacks
  EXPECT_TRUE(encode("").empty());
}

TEST(TokenizerTest, EmbeddedMergesAreThePublicOnes) {
  const auto merges = EmbeddedClipMerges();
  ASSERT_EQ(merges.size(), 2u * 48894);
  for (size_t i = 0; i < merges.size(); ++i) {
    ASSERT_LT(merges[i], 512 + i / 2) << "merge " << i / 2 << " uses a token that is not made yet";
  }
}

class TokenizerFilesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    dir_.CopyFrom(DataDir() + "/models/hf");
    config_ = Must(ReadModelConfig(dir_.path()));
  }
  TempDir dir_;
  ModelConfig config_;
};

TEST_F(TokenizerFilesTest, TokenizerJsonEqualsVocabAndMerges) {
  const auto from_files = Must(LoadTokenizer(config_));
  // The same as tokenizer.json, once with merges as strings and once as pairs.
  Json vocab = Json::parse(ReadAll(dir_.File("vocab.json")));
  Json strings = Json::array(), pairs = Json::array();
  std::istringstream lines(ReadAll(dir_.File("merges.txt")));
  for (std::string line; std::getline(lines, line);) {
    if (line.empty() || line[0] == '#') continue;
    strings.push_back(line);
    pairs.push_back({line.substr(0, line.find(' ')), line.substr(line.find(' ') + 1)});
  }
  ASSERT_GT(strings.size(), 100u);
  std::filesystem::remove(dir_.File("vocab.json"));
  std::filesystem::remove(dir_.File("merges.txt"));
  Json added = Json::array();
  for (const char* name : {"<|startoftext|>", "<|endoftext|>"}) {
    added.push_back({{"content", name}, {"id", vocab[name]}});
    vocab.erase(name);
  }
  for (const Json& merges : {strings, pairs}) {
    const Json root = {
        {"added_tokens", added},
        {"model",
         {{"type", "BPE"}, {"end_of_word_suffix", "</w>"}, {"vocab", vocab}, {"merges", merges}}}};
    dir_.Write("tokenizer.json", root.dump());
    const auto from_json = Must(LoadTokenizer(config_));
    for (const char* text : {"a photo of a cat", "the thing, <|endoftext|> and", "naïve 123"}) {
      EXPECT_EQ(Must(from_json->Encode(text)).ids, Must(from_files->Encode(text)).ids) << text;
    }
  }
}

TEST_F(TokenizerFilesTest, MissingHalf) {
  std::filesystem::remove(dir_.File("merges.txt"));
  ExpectError(LoadTokenizer(config_), StatusCode::kNotFound, {"vocab.json", "no merges.txt"});
}

TEST_F(TokenizerFilesTest, NoFilesAndAnotherVocabularySize) {
  std::filesystem::remove(dir_.File("merges.txt"));
  std::filesystem::remove(dir_.File("vocab.json"));
  ExpectError(LoadTokenizer(config_), StatusCode::kNotFound, {dir_.path(), "vocab_size", "49408"});
}

TEST_F(TokenizerFilesTest, MergesOfAnotherVocabulary) {
  dir_.Write("merges.txt", "#version: 0.2\ni n\nq x\n");
  ExpectError(LoadTokenizer(config_), StatusCode::kDataLoss, {"merges.txt", "merge 2", "'q'"});
}

TEST_F(TokenizerFilesTest, MergeLineWithThreeTokens) {
  dir_.Write("merges.txt", "#version: 0.2\ni n\na b c\n");
  ExpectError(LoadTokenizer(config_), StatusCode::kDataLoss, {"merges.txt:3", "two tokens"});
}

TEST_F(TokenizerFilesTest, VocabularyLargerThanTheModels) {
  config_.text.vocab_size = 100;
  ExpectError(LoadTokenizer(config_), StatusCode::kDataLoss, {"vocab.json", "vocab_size is 100"});
}

TEST_F(TokenizerFilesTest, VocabularyOfAnotherKind) {
  dir_.Write("vocab.json", R"({"[CLS]": 0, "##a": 1})");
  ExpectError(LoadTokenizer(config_), StatusCode::kUnsupported, {"vocab.json", "a</w>"});
}

TEST_F(TokenizerFilesTest, VocabularyWithTextForAnId) {
  dir_.Write("vocab.json", R"({"a</w>": "one"})");
  ExpectError(LoadTokenizer(config_), StatusCode::kDataLoss, {"vocab.json", "'a</w>'"});
}

TEST_F(TokenizerFilesTest, VocabularyWithoutEndToken) {
  Json vocab = Json::parse(ReadAll(dir_.File("vocab.json")));
  vocab.erase("<|endoftext|>");
  dir_.Write("vocab.json", vocab.dump());
  ExpectError(LoadTokenizer(config_), StatusCode::kDataLoss, {"vocab.json", "<|endoftext|>"});
}

TEST_F(TokenizerFilesTest, EndTokenWithoutText) {
  Json vocab = Json::parse(ReadAll(dir_.File("vocab.json")));
  vocab[""] = vocab["<|endoftext|>"];
  dir_.Write("vocab.json", vocab.dump());
  dir_.Write("tokenizer_config.json", R"({"eos_token": ""})");
  ExpectError(LoadTokenizer(config_), StatusCode::kDataLoss, {"vocab.json", "end token", "empty"});
}

TEST_F(TokenizerFilesTest, TokenizerJsonOfAnotherKind) {
  std::filesystem::remove(dir_.File("vocab.json"));
  dir_.Write("tokenizer.json", R"({"model": {"type": "WordPiece", "vocab": {}}})");
  ExpectError(LoadTokenizer(config_), StatusCode::kUnsupported, {"tokenizer.json", "WordPiece"});
  dir_.Write("tokenizer.json", R"({"model": {"type": "BPE", "end_of_word_suffix": null}})");
  ExpectError(LoadTokenizer(config_), StatusCode::kUnsupported, {"tokenizer.json", "suffix"});
}

TEST_F(TokenizerFilesTest, TokenizerThatIsNotThere) {
  std::filesystem::remove(dir_.File("vocab.json"));
  std::filesystem::remove(dir_.File("merges.txt"));
  config_.text.tokenizer_name = "bert-base-uncased";
  ExpectError(LoadTokenizer(config_), StatusCode::kNotFound,
              {"bert-base-uncased", "hf_tokenizer_name"});
}

}  // namespace
}  // namespace cliptag
