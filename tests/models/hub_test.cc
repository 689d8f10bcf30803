// What pulling is made of: hashes, names, and the build without HTTP. Pulling itself is tested
// through the tool, tests/cli/test_hub.py.
#include <gtest/gtest.h>

#include <string>

#include "models/io/sha.h"
#include "plugin/cli/hub/client.h"
#include "plugin/cli/hub/http.h"
#include "plugin/cli/hub/repository.h"

namespace cliptag {
namespace {

constexpr char kHub[] = "https://hub.example:8443/mirror";

template <typename Hash>
std::string Hex(const std::string& text, size_t piece) {
  Hash hash;
  for (size_t i = 0; i < text.size(); i += piece) {
    const std::string part = text.substr(i, piece);
    hash.Add(part.data(), part.size());
  }
  return hash.Hex();
}

TEST(Sha, KnownAnswers) {  // FIPS 180-4's examples
  EXPECT_EQ(Hex<Sha256>("", 1), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(Hex<Sha256>("abc", 3),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(Hex<Sha256>(std::string(1000000, 'a'), 997),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  EXPECT_EQ(Hex<Sha1>("", 1), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
  EXPECT_EQ(Hex<Sha1>("abc", 3), "a9993e364706816aba3e25717850c26c9cd0d89d");
  EXPECT_EQ(Hex<Sha1>(std::string(1000000, 'a'), 997), "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
}

// Around the ends of blocks and of the padding, however the bytes arrive.
TEST(Sha, PiecesMakeNoDifference) {
  for (size_t length = 0; length <= 200; ++length) {
    std::string text;
    for (size_t i = 0; i < length; ++i) text += static_cast<char>(i * 37);
    for (const size_t piece : {1, 7, 63, 64, 65}) {
      ASSERT_EQ(Hex<Sha256>(text, 1000), Hex<Sha256>(text, piece)) << length << " by " << piece;
      ASSERT_EQ(Hex<Sha1>(text, 1000), Hex<Sha1>(text, piece)) << length << " by " << piece;
    }
  }
}

TEST(HubNames, IdAndRevision) {
  std::string id, revision;
  ASSERT_TRUE(ParseHubName("org/na.me-1_x@refs/pr/1", kHub, &id, &revision).ok());
  EXPECT_EQ(id, "org/na.me-1_x");
  EXPECT_EQ(revision, "refs/pr/1");
  ASSERT_TRUE(ParseHubName("gpt2", kHub, &id, &revision).ok());
  EXPECT_EQ(revision, "main");
  for (const char* bad : {"", "/", "a/", "a/b/c", "a/.b", "a/b.", "a/b@", "a/b@x y", "a/b@../x"}) {
    EXPECT_EQ(ParseHubName(bad, kHub, &id, &revision).code(), StatusCode::kInvalidArgument) << bad;
  }
}

TEST(HubNames, PagesAddresses) {
  const struct {
    const char *text, *id, *revision;
  } cases[] = {
      {"https://huggingface.co/org/name", "org/name", "main"},
      {"https://huggingface.co/org/name/", "org/name", "main"},
      {"https://huggingface.co/org/name?library=open_clip", "org/name", "main"},
      {"https://huggingface.co/org/name/tree/v1.0", "org/name", "v1.0"},
      {"https://huggingface.co/org/name/tree/main/onnx", "org/name", "main"},
      {"https://huggingface.co/org/name/blob/main/model.safetensors", "org/name", "main"},
      {"https://huggingface.co/org/name@v2", "org/name", "v2"},
      {"https://huggingface.co/gpt2/tree/main", "gpt2", "main"},
      {"https://hf.co/org/name", "org/name", "main"},
      {"huggingface.co/org/name", "org/name", "main"},
      {"https://hub.example:8443/mirror/org/name/resolve/x/a.bin", "org/name", "x"},
      {"hf-hub:org/name@v1", "org/name", "v1"},
      {"http://huggingface.co/org/name", "org/name", "main"},
      {"HTTPS://HuggingFace.co/Org/Name", "Org/Name", "main"},
      {"https://www.huggingface.co/org//name", "org/name", "main"},
      {"hf.co/org/name/tree/refs%2fpr%2F3/onnx", "org/name", "refs/pr/3"},
      {"https://huggingface.co/org%2Fname", "org/name", "main"},
      {"https://huggingface.co/org/name.git", "org/name", "main"},
      {"https://huggingface.co/org/name/raw/v1/config.json?download=true", "org/name", "v1"},
      {"https://huggingface.co/org/name/commit/0123456789abcdef0123456789abcdef01234567",
       "org/name", "0123456789abcdef0123456789abcdef01234567"},
      {"https://huggingface.co/org/name/commits/main#top", "org/name", "main"},
      {"https://huggingface.co/org/tree", "org/tree", "main"},
      {"hf://org/name@v1", "org/name", "v1"},
  };
  for (const auto& c : cases) {
    std::string id, revision;
    EXPECT_TRUE(ParseHubName(c.text, kHub, &id, &revision).ok()) << c.text;
    EXPECT_EQ(id, c.id) << c.text;
    EXPECT_EQ(revision, c.revision) << c.text;
  }
  for (const char* bad :
       {"https://huggingface.co/", "https://huggingface.co/org/name/discussions/3",
        "https://huggingface.co/org/name/tree/", "https://elsewhere.example/org/name",
        "https://huggingface.co.example/org/name", "https://huggingface.co/org/name/tree/a%20b",
        "https://huggingface.co/org%2Fname/more", "https://huggingface.co/..%2Fname"}) {
    std::string id, revision;
    EXPECT_EQ(ParseHubName(bad, kHub, &id, &revision).code(), StatusCode::kInvalidArgument) << bad;
  }
}

TEST(HubNames, Files) {
  EXPECT_TRUE(IsPlainFileName("model-00001-of-00002.safetensors"));
  for (const char* bad : {"", ".", "..", ".hidden", "a/b", "/a", "a\\b", "a\nb", "a\x7f"}) {
    EXPECT_FALSE(IsPlainFileName(bad)) << bad;
  }
  EXPECT_EQ(UrlEncode("a b/c?d", true), "a%20b/c%3Fd");
  EXPECT_EQ(UrlEncode("refs/pr/1", false), "refs%2Fpr%2F1");
}

// This program is linked with plugin/cli/hub/http_none.cc.
TEST(HubWithoutHttp, SaysWhatIsMissing) {
  const auto client = HubClient::Create(HubSettings(), nullptr, nullptr);
  ASSERT_FALSE(client.ok());
  EXPECT_EQ(client.status().code(), StatusCode::kUnsupported);
  EXPECT_NE(client.status().message().find("install libcurl4-openssl-dev"), std::string::npos);
}

}  // namespace
}  // namespace cliptag
