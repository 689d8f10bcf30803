// CLIP's tokenizer against open_clip's, and the ways its files can be wrong.
#include "models/tokenizer.h"

#include <fstream>
#include <map>

#include "models/bpe.h"
#include "models/embedded.h"
#include "models/json.h"
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

int CountMismatches(const Tokenizer& tokenizer, const std::string& file, int* lines) {
  std::ifstream in(file);
  int wrong = 0;
  for (std::string line; std::getline(in, line);) {
    const Json item = Json::parse(line);
    ++*lines;
    const std::string text = item["text"];
    const Tokens tokens = Must(tokenizer.Encode(text));
    if (tokens.ids == item["ids"].get<std::vector<int32_t>>()) continue;
    if (++wrong <= 5) ADD_FAILURE() << "line " << *lines << ": " << text;
  }
  return wrong;
}

TEST(TokenizerTest, PublicVocabularyEqualsOpenClip) {
  SKIP_WITHOUT_SHARED("goldens/tokenizer.jsonl");
  int lines = 0;
  EXPECT_EQ(CountMismatches(*Public(), SharedDir() + "/goldens/tokenizer.jsonl", &lines), 0);
  EXPECT_EQ(lines, 1051);
}

TEST(TokenizerTest, VocabularyFilesEqualThePublicOne) {
  SKIP_WITHOUT_SHARED("goldens/hf-vit-patch16");
  const ModelConfig config = Must(ReadModelConfig(SharedDir() + "/goldens/hf-vit-patch16"));
  int lines = 0;
  EXPECT_EQ(CountMismatches(*Must(LoadTokenizer(config)), SharedDir() + "/goldens/tokenizer.jsonl",
                            &lines),
            0);
  EXPECT_EQ(lines, 1051);
}

// tests/models/make_siglip_goldens.py wrote what transformers says: T5's and SigLIP's vocabularies
// of pieces, and Gemma's.
TEST(TokenizerTest, PiecesEqualTransformers) {
  std::map<std::string, std::unique_ptr<Tokenizer>> tokenizers;
  std::ifstream in(DataDir() + "/models/pieces.jsonl");
  int lines = 0;
  for (std::string line; std::getline(in, line); ++lines) {
    const Json item = Json::parse(line);
    const std::string name = item["model"], text = item["text"];
    SCOPED_TRACE(name + ": " + text);
    auto& tokenizer = tokenizers[name];
    if (!tokenizer) {
      tokenizer = Must(LoadTokenizer(Must(ReadModelConfig(DataDir() + "/models/" + name))));
    }
    const Tokens tokens = Must(tokenizer->Encode(text));
    EXPECT_EQ(tokens.ids, item["ids"].get<std::vector<int32_t>>());
    EXPECT_EQ(tokens.ids[tokens.eot], name == "siglip2-timm" ? 561 : 1);
  }
  EXPECT_EQ(lines, 120);
}

// A model's directory with this tokenizer.json alone.
Result<std::unique_ptr<Tokenizer>> TryJson(const std::string& json,
                                           const std::string& settings = "{}",
                                           int vocab_size = 100) {
  TempDir dir;
  dir.Write("tokenizer.json", json);
  dir.Write("tokenizer_config.json", settings);
  ModelConfig config;
  config.path = dir.path();
  config.text.context_length = 6;
  config.text.vocab_size = vocab_size;
  config.text.clean = TextClean::kCanonicalize;
  return LoadTokenizer(config);
}

std::string GemmaJson(const std::string& changes) {
  Json json = Json::parse(R"json({
      "normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
      "post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<bos>"}},
        {"Sequence": {"id": "A"}}, {"SpecialToken": {"id": "<eos>"}}]},
      "added_tokens": [{"id": 9, "content": "<eos>", "special": true}],
      "model": {"type": "BPE", "byte_fallback": true, "fuse_unk": true, "unk_token": "<unk>",
        "vocab": {"<pad>": 0, "<bos>": 1, "<unk>": 2, "a": 3, "b": 4, "ab": 5, "aba": 6, "▁": 7},
        "merges": ["a b", ["ab", "a"]]}})json");
  json.merge_patch(Json::parse(changes));
  return json.dump();
}

TEST(TokenizerTest, GemmasBpeByHand) {
  const auto ids = [](const std::string& changes, const std::string& settings, const char* text) {
    return Must(Must(TryJson(GemmaJson(changes), settings))->Encode(text)).ids;
  };
  using Ids = std::vector<int32_t>;
  // Padded on the left unless the files say otherwise, as transformers' Gemma; an unknown character
  // is one token, two are one.
  EXPECT_EQ(ids("{}", "{}", "aba b"), (Ids{0, 1, 6, 7, 4, 9}));
  EXPECT_EQ(ids("{}", R"({"padding_side": "right"})", "ab"), (Ids{1, 5, 9, 0, 0, 0}));
  EXPECT_EQ(ids("{}", R"({"add_bos_token": false, "padding_side": "right"})", "axxb"),
            (Ids{3, 2, 4, 9, 0, 0}));
  EXPECT_EQ(ids(R"({"model": {"fuse_unk": false}})", R"({"add_bos_token": false})", "axxb"),
            (Ids{0, 3, 2, 2, 4, 9}));
  EXPECT_EQ(ids(R"({"model": {"vocab": {"<0x78>": 8}}})", R"({"add_bos_token": false})", "axxb"),
            (Ids{0, 3, 8, 8, 4, 9}));
  const Tokens cut = Must(Must(TryJson(GemmaJson("{}")))->Encode("a b a b a b"));
  EXPECT_TRUE(cut.truncated);
  EXPECT_EQ(cut.ids, (Ids{1, 3, 7, 4, 7, 9}));
  EXPECT_EQ(cut.eot, 5);
}

TEST(TokenizerTest, PiecesAreRefusedByName) {
  const struct {
    std::string json, settings;
    StatusCode code;
    std::vector<std::string> named;
  } cases[] = {
      {GemmaJson(R"({"normalizer": {"type": "BertNormalizer"}})"),
       "{}",
       StatusCode::kUnsupported,
       {"tokenizer.json", "BertNormalizer"}},
      {GemmaJson(R"({"pre_tokenizer": {"type": "ByteLevel"}})"),
       "{}",
       StatusCode::kUnsupported,
       {"pre_tokenizer", "ByteLevel"}},
      {GemmaJson(R"({"post_processor": {"type": "BertProcessing"}})"),
       "{}",
       StatusCode::kUnsupported,
       {"post_processor", "BertProcessing"}},
      {GemmaJson(R"({"model": {"type": "WordPiece"}})"),
       "{}",
       StatusCode::kUnsupported,
       {"model.type", "WordPiece"}},
      {GemmaJson(R"({"model": {"merges": ["a z"]}})"),
       "{}",
       StatusCode::kDataLoss,
       {"merge 1", "'z'", "the second"}},
      {GemmaJson(R"({"model": {"merges": ["a"]}})"), "{}", StatusCode::kDataLoss, {"model.merges"}},
      {GemmaJson(R"({"model": {"vocab": {"a": -1}}})"), "{}", StatusCode::kDataLoss, {"'a'"}},
      {GemmaJson(R"({"model": {"continuing_subword_prefix": "##"}})"),
       "{}",
       StatusCode::kUnsupported,
       {"continuing_subword_prefix"}},
      {GemmaJson("{}"), R"({"pad_token": "<filler>"})", StatusCode::kDataLoss, {"<filler>"}},
      {GemmaJson(R"({"model": {"vocab": {"c": 100}}})"),
       "{}",
       StatusCode::kDataLoss,
       {"101 tokens", "vocab_size is 100"}},
      {R"({"model": {"type": "Unigram", "vocab": [["a", 1]]}})",
       "{}",
       StatusCode::kDataLoss,
       {"unk_id"}},
      {R"({"model": {"type": "Unigram", "unk_id": 0, "vocab": [["a"]]}})",
       "{}",
       StatusCode::kDataLoss,
       {"entry 0"}},
      {R"({"normalizer": {"type": "Precompiled", "precompiled_charsmap": "?"},
           "model": {"type": "Unigram", "unk_id": 0, "vocab": [["a", 1]]}})",
       "{}",
       StatusCode::kDataLoss,
       {"base64"}},
  };
  for (const auto& refused : cases) {
    SCOPED_TRACE(refused.json);
    ExpectError(TryJson(refused.json, refused.settings), refused.code, refused.named);
  }
}

TEST(TokenizerTest, DamagedSentencePieceModel) {
  TempDir dir;
  ModelConfig config;
  config.path = dir.path();
  config.text.context_length = 6;
  dir.Write("spiece.model", "no such thing");
  ExpectError(LoadTokenizer(config), StatusCode::kDataLoss,
              {"spiece.model", "no sentencepiece model"});
  const std::string whole = ReadAll(DataDir() + "/models/siglip-hf/spiece.model");
  dir.Write("spiece.model", whole.substr(0, whole.size() / 2));
  ExpectError(LoadTokenizer(config), StatusCode::kDataLoss, {"spiece.model"});
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
