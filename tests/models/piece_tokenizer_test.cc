// SigLIP's tokenizers against transformers', and the ways their files can be wrong.
#include <fstream>
#include <map>
#include <random>

#include "models/io/json.h"
#include "models/text/tokenizer.h"
#include "tests/fuzz/small_charsmap.h"
#include "tests/models/model_test.h"

namespace cliptag {
namespace {

// tests/models/make_siglip_goldens.py wrote what transformers says: T5's and SigLIP's vocabularies
// of pieces, and Gemma's.
TEST(PieceTokenizerTest, PiecesEqualTransformers) {
  if (!HasSentencePiece()) GTEST_SKIP() << "this build has no sentencepiece";
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
  EXPECT_EQ(lines, 116);
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

TEST(PieceTokenizerTest, GemmasBpeByHand) {
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
  // Without a token at its end a text that fills the context ends there.
  const Tokens bare =
      Must(Must(TryJson(GemmaJson(R"({"post_processor": null})")))->Encode("a b a b a b"));
  EXPECT_EQ(bare.ids, (Ids{3, 7, 4, 7, 3, 7}));
  EXPECT_EQ(bare.eot, 5);
}

TEST(PieceTokenizerTest, PiecesAreRefusedByName) {
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
      {GemmaJson(R"({"model": {"vocab": {"<pad>": 100}}})"),
       "{}",
       StatusCode::kDataLoss,
       {"token 100", "vocab_size is 100"}},
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

TEST(PieceTokenizerTest, DamagedSentencePieceModel) {
  if (!HasSentencePiece()) GTEST_SKIP() << "this build has no sentencepiece";
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

std::string Base64(const std::string& bytes) {
  constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (size_t at = 0; at < bytes.size(); at += 3) {
    uint32_t bits = 0;
    for (size_t i = 0; i < 3; ++i) {
      bits = bits << 8 | (at + i < bytes.size() ? static_cast<uint8_t>(bytes[at + i]) : 0);
    }
    for (size_t i = 0; i < 4; ++i)
      out += at + i > bytes.size() ? '=' : kDigits[bits >> (18 - 6 * i) & 63];
  }
  return out;
}

Result<std::unique_ptr<Tokenizer>> TryMap(const std::string& map) {
  return TryJson(R"({"normalizer": {"type": "Precompiled", "precompiled_charsmap": ")" +
                 Base64(map) + R"("}, "model": {"type": "Unigram", "unk_id": 0, "vocab":
                 [["<unk>", 0], ["</s>", 0], ["a", -1], ["ab", -1.5], ["c", -2], ["▁", -3]]}})");
}

const std::map<std::string, std::string> kChanges = {
    {"X", "a"}, {"\xc3\xa9", "c"}, {"\xef\xbc\xa1", "ab"}, {"cc", ""}};

TEST(PieceTokenizerTest, AMapOfCharactersIsAppliedAndADamagedOneNotHandedOver) {
  if (!HasSentencePiece()) GTEST_SKIP() << "this build has no sentencepiece";
  const std::string map = SmallCharsmap(kChanges);
  const auto ids = [](const Tokenizer& tokenizer, const char* text) {
    return Must(tokenizer.Encode(text)).ids;
  };
  const auto tokenizer = Must(TryMap(map));
  EXPECT_EQ(ids(*tokenizer, "xé"), ids(*Must(TryMap("")), "xc"));
  EXPECT_NE(ids(*tokenizer, "é"), ids(*Must(TryMap("")), "é"));
  // The bytes of the size, of the texts, and of units that are not free.
  std::vector<size_t> used;
  for (size_t at = 0; at < map.size(); ++at) {
    if (at % 4 != 0 || map.compare(at, 4, std::string("\0\0\0\x80", 4)) != 0) {
      used.push_back(at);
    } else {
      at += 3;
    }
  }
  std::mt19937 random(3);
  int refused = 0;
  for (int round = 0; round < 400; ++round) {
    std::string damaged = map;
    for (int i = 0; i < 2; ++i) damaged[used[random() % used.size()]] = static_cast<char>(random());
    const auto result = TryMap(damaged);
    refused += !result.ok();
    if (!result.ok()) continue;
    for (const char* text : {"a photo of a cat", "Xé\xef\xbc\xa1 cc", "\xff\xfe\x01"}) {
      EXPECT_TRUE((*result)->Encode(text).ok());
    }
  }
  EXPECT_GT(refused, 40);
  EXPECT_LT(refused, 400);
}

TEST(PieceTokenizerTest, DamagedMapsOfCharactersAreRefusedByWhatIsWrong) {
  if (!HasSentencePiece()) GTEST_SKIP() << "this build has no sentencepiece";
  const auto refused = [](const std::string& map, const std::string& what) {
    ExpectError(TryMap(map), StatusCode::kDataLoss,
                {"tokenizer.json", "precompiled_charsmap", what});
  };
  const std::string map = SmallCharsmap(kChanges);
  refused("abc", "ends within its trie");
  refused(map.substr(0, 3000), "ends within its trie");
  refused(std::string(8, '\0'), "no whole number of blocks");
  refused(map.substr(0, map.size() - 1), "outside of its texts");
  std::string outside = map;
  outside[4 + 3] = 0x7f;  // the root's offset
  refused(outside, "outside of itself");
  refused(SmallCharsmap({{"a", "b"}}, /*circle=*/true), "in a circle");
  refused(SmallCharsmap({{"a", std::string(1001, 'b')}}), "more than 1000 bytes");
  std::map<std::string, std::string> nested;
  for (size_t i = 1; i <= 32; ++i) nested.emplace(std::string(i, 'x'), "a");
  EXPECT_TRUE(TryMap(SmallCharsmap(nested)).ok());
  nested.emplace(std::string(33, 'x'), "a");
  refused(SmallCharsmap(nested), "begin with each other");
}

TEST(PieceTokenizerTest, LongPiecesAreRefused) {
  if (!HasSentencePiece()) GTEST_SKIP() << "this build has no sentencepiece";
  const auto with = [](size_t bytes) {
    return TryJson(R"({"model": {"type": "Unigram", "unk_id": 0, "vocab": [["<unk>", 0],
                       ["</s>", 0], [")" +
                   std::string(bytes, 'a') + R"(", -1]]}})");
  };
  EXPECT_TRUE(with(1000).ok());
  ExpectError(with(200'000), StatusCode::kInvalidArgument,
              {"tokenizer.json", "a piece of 200000 bytes", "1000"});
}

}  // namespace
}  // namespace cliptag
