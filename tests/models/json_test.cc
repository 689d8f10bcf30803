// JSON of strangers: as the library reads it, in time and memory that grow with its length.
#include "models/io/json.h"

#include <filesystem>

#include "tests/models/model_test.h"

namespace cliptag {
namespace {

std::string Repeated(const std::string& part, size_t times) {
  std::string out;
  out.reserve(part.size() * times);
  for (size_t i = 0; i < times; ++i) out += part;
  return out;
}

TEST(JsonTest, IsWhatTheLibraryReads) {
  int files = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(DataDir() + "/models")) {
    if (entry.path().extension() != ".json") continue;
    const std::string text = ReadAll(entry.path());
    EXPECT_TRUE(Must(ParseJson(text, "file")) == Json::parse(text)) << entry.path();
    ++files;
  }
  EXPECT_GT(files, 10);
  for (const char* text : {"1", "-2", "0.5", "null", "true", "\"\\u00e9\\n\"", "[]", "{}", " [ ] ",
                           R"({"a": [1, {"b": {}, "c": []}, [[2]]], "": 18446744073709551615})"}) {
    EXPECT_TRUE(Must(ParseJson(text, "file")) == Json::parse(text)) << text;
  }
  EXPECT_TRUE(Must(ParseJson("\xEF\xBB\xBF[1]", "file")) == Json::parse("[1]"));
}

// A parser that looks through a container whenever something in it ends takes hours for these.
TEST(JsonTest, TimeGrowsWithItsLength) {
  constexpr size_t kMany = 1'000'000;
  const Json objects =
      Must(ParseJson(std::string("[") + Repeated("{},", kMany - 1) + "{}]", "file"));
  EXPECT_EQ(objects.size(), kMany);
  const Json arrays =
      Must(ParseJson(std::string("{\"a\": [") + Repeated("[0],", kMany - 1) + "[0]]}", "file"));
  EXPECT_EQ(arrays["a"].size(), kMany);
}

TEST(JsonTest, IsBounded) {
  ExpectError(ParseJson(std::string("[\n") + Repeated("0,", 4'000'000) + "0]", "file"),
              StatusCode::kDataLoss, {"file:2:", "more than 4000000 values"});
  EXPECT_TRUE(ParseJson(Repeated("[", 64) + Repeated("]", 64), "file").ok());
  ExpectError(ParseJson(Repeated("[", 65) + Repeated("]", 65), "file"), StatusCode::kDataLoss,
              {"file:1:65", "nested more than 64 deep"});
  ExpectError(ParseJson(Repeated("{\"a\":", 1'000'000), "file"), StatusCode::kDataLoss,
              {"nested more than 64 deep"});
  EXPECT_TRUE(ParseJson("[1, [2]]", "file", {.max_depth = 2, .max_nodes = 4}).ok());
  EXPECT_FALSE(ParseJson("[1, [2]]", "file", {.max_depth = 1}).ok());
  EXPECT_FALSE(ParseJson("[1, [2]]", "file", {.max_nodes = 3}).ok());
}

TEST(JsonTest, ErrorsSayWhere) {
  const std::string key(1'000'000, 'k');
  const Status twice = ParseJson("{\n\"" + key + "\": 1, \"" + key + "\": 2}", "file").status();
  EXPECT_NE(twice.message().find("file:2:1000008"), std::string::npos);
  EXPECT_NE(twice.message().find("twice"), std::string::npos);
  EXPECT_LT(twice.message().size(), 200u);
  ExpectError(ParseJson("[1,\n 1e999]", "file"), StatusCode::kDataLoss, {"file:2:", "1e999"});
  ExpectError(ParseJson("[\"\xff\"]", "file"), StatusCode::kDataLoss, {"file:1:", "UTF-8"});
  ExpectError(ParseJson("", "file"), StatusCode::kDataLoss, {"file:1:1"});
}

TEST(JsonTest, FindsWhereAValueStands) {
  const std::string text = R"({"a": 1,
 "tags": [ {"label": "x"},
  3, [], {"label": "y", "deep": {"a": [true,
   false]}}]})";
  EXPECT_EQ(LocateJson(text, "/a"), "1:2");
  EXPECT_EQ(LocateJson(text, "/tags"), "2:2");
  EXPECT_EQ(LocateJson(text, "/tags/0"), "2:12");
  EXPECT_EQ(LocateJson(text, "/tags/1"), "3:3");
  EXPECT_EQ(LocateJson(text, "/tags/2"), "3:6");
  EXPECT_EQ(LocateJson(text, "/tags/3/label"), "3:11");
  EXPECT_EQ(LocateJson(text, "/tags/3/deep/a/1"), "4:4");
  EXPECT_EQ(LocateJson(text, "/tags/3/none"), "3:10") << "the nearest around it";
  EXPECT_EQ(LocateJson(text, ""), "1:1");
}

}  // namespace
}  // namespace cliptag
