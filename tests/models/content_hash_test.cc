// Identities: SHA-256 over parts, whatever somebody does to make two the same.
#include "models/io/content_hash.h"

#include <bit>
#include <cstring>
#include <random>

#include "models/io/sha.h"
#include "models/tower_identity.h"
#include "models/weights/weights.h"
#include "tests/models/model_test.h"

namespace cliptag {
namespace {

TEST(ContentHashTest, IsSha256OfThePartsHashes) {
  ContentHash hash;
  hash.AddText("abc");
  EXPECT_EQ(hash.Hex(), "4f8b42c22dd3729b519ba6f68d2da7cc5b2d606d05daed5ad5128cc03e6c6358");
  ContentHash parts, others;
  parts.AddText("ab");
  parts.AddText("c");
  others.AddText("a");
  others.AddText("bc");
  EXPECT_NE(parts.Hex(), others.Hex());
}

// However many threads there are.
TEST(ContentHashTest, LargePartsAreCutIntoPieces) {
  constexpr size_t kPiece = 1 << 20;
  std::mt19937 random(1);
  std::string data(23 * kPiece + 12345, '\0');
  for (char& c : data) c = static_cast<char>(random());
  const auto of = [](const std::string& text, int64_t number) {
    ContentHash hash;
    hash.AddNumber(number);
    hash.AddLarge(text.data(), text.size());
    hash.AddNumber(number);
    return hash.Hex();
  };
  const int64_t seven = 7, size = static_cast<int64_t>(data.size());
  std::string digests = Sha256Of(&seven, sizeof(seven)) + Sha256Of(&size, sizeof(size));
  for (size_t at = 0; at < data.size(); at += kPiece) {
    digests += Sha256Of(data.data() + at, std::min(kPiece, data.size() - at));
  }
  digests += Sha256Of(&seven, sizeof(seven));
  Sha256 whole;
  whole.Add(digests.data(), digests.size());
  const std::string hash = of(data, 7);
  EXPECT_EQ(hash, whole.Hex());
  EXPECT_EQ(of(data, 7), hash);
  for (const size_t at : {size_t{0}, kPiece, 22 * kPiece + 5, data.size() - 1}) {
    data[at] ^= 1;
    EXPECT_NE(of(data, 7), hash) << at;
    data[at] ^= 1;
  }
  EXPECT_NE(of(data.substr(0, data.size() - 1), 7), hash);
  EXPECT_EQ(of("", 7).size(), 64u);
}

// Two words, 64 bytes apart, change together so that the quick hash stays: what identities were
// made of, and what let crafted weights pass for others.
TEST(ContentHashTest, WhatTheQuickHashTakesForTheSameDiffers) {
  constexpr uint64_t kPrime1 = 0x9E3779B185EBCA87, kPrime2 = 0xC2B2AE3D27D4EB4F,
                     kLane = 0x27D4EB2F165667C5;
  uint64_t inverse = kPrime2;  // of kPrime2, modulo 2^64
  for (int i = 0; i < 6; ++i) inverse *= 2 - kPrime2 * inverse;
  uint64_t words[16] = {};
  const auto after = [&](uint64_t word) { return std::rotl(kLane + word * kPrime2, 31) * kPrime1; };
  std::string before(reinterpret_cast<char*>(words), sizeof(words));
  words[0] = 0x3C003C003C003C00;
  words[8] = (after(0) - after(words[0])) * inverse;
  const std::string crafted(reinterpret_cast<char*>(words), sizeof(words));
  ASSERT_NE(before, crafted);
  EXPECT_EQ(HashBytes(before.data(), before.size()), HashBytes(crafted.data(), crafted.size()));
  ContentHash a, b;
  a.AddLarge(before.data(), before.size());
  b.AddLarge(crafted.data(), crafted.size());
  EXPECT_NE(a.Hex(), b.Hex());
}

std::string IdentityOf(const std::string& directory) {
  return Must(ReadTextIdentity(directory)).identity;
}

TEST(TextIdentityTest, IsOfTheTokenizersFilesThatAreReadAndOfNoOthers) {
  const TempDir dir;
  dir.CopyFrom(StarterDir());
  const std::string identity = IdentityOf(dir.path());
  EXPECT_EQ(identity.size(), 64u);
  for (const char* unused : {"spiece.model", "tokenizer.model", "sentencepiece.bpe.model"}) {
    std::filesystem::create_symlink("/dev/zero", dir.File(unused));
    EXPECT_EQ(IdentityOf(dir.path()), identity) << unused;
  }
  for (const char* used : {"vocab.json", "merges.txt", "tokenizer_config.json"}) {
    const std::string content = ReadAll(dir.File(used));
    dir.Write(used, content + "\n");
    EXPECT_NE(IdentityOf(dir.path()), identity) << used;
    dir.Write(used, content);
  }
  EXPECT_EQ(IdentityOf(dir.path()), identity);
  for (const char* added : {"added_tokens.json", "tokenizer.json", "special_tokens_map.json"}) {
    dir.Write(added, "{}");
    EXPECT_NE(IdentityOf(dir.path()), identity) << added;
    std::filesystem::remove(dir.File(added));
  }
  std::filesystem::remove(dir.File("vocab.json"));
  ExpectError(ReadTextIdentity(dir.path()), StatusCode::kInvalidArgument,
              {"spiece.model", "is a device"});
}

}  // namespace
}  // namespace cliptag
