// Products that are chosen by timing: a second start takes the first one's choices, whatever it
// would have timed.
#include "models/product_choices.h"

#include <cstdlib>
#include <filesystem>
#include <string>

#include "kernels/create_backend.h"
#include "models/clip_model.h"
#include "models/io/cache_file.h"
#include "tests/models/model_test.h"

namespace cliptag {
namespace {

namespace fs = std::filesystem;

class ProductChoicesTest : public ::testing::Test {
 protected:
  void SetUp() override { setenv("CLIPTAG_CACHE", cache_.path().c_str(), 1); }
  void TearDown() override { unsetenv("CLIPTAG_CACHE"); }

  // A start: what it chose, and by what.
  BackendInfo Start(std::string* choices) {
    const auto backend = Must(
        CreateBackend({.kind = BackendKind::kCpu, .precision = Precision::kFp32, .threads = 1}));
    const auto model = Must(ClipModel::Load(DataDir() + "/models/openclip", *backend));
    *choices = backend->choices();
    return backend->info();
  }
  std::string OnlyFile() const {
    std::string found;
    for (const auto& entry : fs::directory_iterator(cache_.File("products"))) {
      EXPECT_EQ(found, "");
      found = entry.path().string();
    }
    return found;
  }

  TempDir cache_;
};

TEST_F(ProductChoicesTest, ASecondStartChoosesTheSameWithoutTiming) {
  std::string first, second;
  Start(&first);
  if (first.empty()) GTEST_SKIP() << "this CPU has one product alone";
  const std::string path = OnlyFile(), text = ReadAll(path);
  EXPECT_NE(text.find(first), std::string::npos) << text;

  // What no timing would find in all shapes: the opposite.
  std::string opposite;
  for (size_t at = 0, end; at < first.size(); at = end + 1) {
    end = std::min(first.find(' ', at), first.size());
    const std::string word = first.substr(at, end - at), shape = word.substr(0, word.find('=') + 1);
    opposite += (opposite.empty() ? "" : " ") + shape + (word.ends_with("own") ? "onednn" : "own");
  }
  const CacheFile file{"products", path, text.substr(text.find('\n') + 1, 64)};
  ASSERT_EQ(WriteCacheFile(file, opposite).message(), "");
  const BackendInfo info = Start(&second);
  EXPECT_EQ(second, opposite);
  for (const std::string& line : info.products) {
    EXPECT_NE(line.find("as at an earlier start"), std::string::npos) << line;
  }
  EXPECT_EQ(ReadCacheFile(file), opposite);
}

TEST_F(ProductChoicesTest, ADamagedFileIsReplaced) {
  std::string first, second;
  Start(&first);
  if (first.empty()) GTEST_SKIP() << "this CPU has one product alone";
  const std::string path = OnlyFile(), text = ReadAll(path);
  cache_.Write("products/" + fs::path(path).filename().string(), text.substr(0, text.size() / 2));
  Start(&second);
  EXPECT_EQ(second, first);  // a process times a shape once
  EXPECT_EQ(ReadAll(path), text);
}

}  // namespace
}  // namespace cliptag
