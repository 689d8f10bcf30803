// The parts of `cliptag bench --streams` that need no stream.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "plugin/cli/bench/streams.h"
#include "plugin/cli/media/mapped_frame.h"

namespace cliptag {
namespace {

TEST(JainIndex, IsOneForEqualSharesAndOneOverNForOne) {
  EXPECT_DOUBLE_EQ(JainIndex({2, 2, 2, 2}), 1);
  EXPECT_DOUBLE_EQ(JainIndex({8, 0, 0, 0}), 0.25);
  EXPECT_DOUBLE_EQ(JainIndex({1, 3}), 0.8);
  EXPECT_EQ(JainIndex({0, 0}), 0);
  EXPECT_EQ(JainIndex({}), 0);
}

TEST(ParseRate, TakesNumbersAndFractions) {
  ASSERT_TRUE(InitGStreamer().ok());
  const struct {
    const char* text;
    int n, d;
  } cases[] = {{"25", 25, 1},   {"30000/1001", 30000, 1001},
               {"12.5", 25, 2}, {"1/1", 1, 1},
               {"1/10", 1, 10}, {"0", 0, 1},
               {"0/1", 0, 1}};
  for (const auto& c : cases) {
    const Result<Rate> rate = ParseRate(c.text, "--fps");
    ASSERT_TRUE(rate.ok()) << c.text << ": " << rate.status().message();
    EXPECT_EQ(rate->n, c.n) << c.text;
    EXPECT_EQ(rate->d, c.d) << c.text;
  }
}

TEST(ParseRate, RefusesWhatIsNone) {
  ASSERT_TRUE(InitGStreamer().ok());
  for (const char* text : {"", "fast", "-1", "-1/2", "1/0", "1/-2", "25fps", "nan", "inf", "1e9"}) {
    const Result<Rate> rate = ParseRate(text, "--fps");
    ASSERT_FALSE(rate.ok()) << text;
    EXPECT_NE(rate.status().message().find("--fps"), std::string::npos);
  }
}

StreamsResult Streams(std::vector<double> looks, uint64_t late, uint64_t identity_late,
                      uint64_t lost = 0) {
  StreamsResult result;
  result.has_identity = true;
  for (const double rate : looks) {
    StreamResult stream;
    stream.frames = 1000;
    stream.tags_per_second = rate;
    result.tagged.streams.push_back(stream);
    result.identity.streams.push_back(stream);
  }
  result.tagged.streams[0].late = late;
  result.tagged.streams[0].lost = lost;
  result.identity.streams[0].late = identity_late;
  return result;
}

bool SaidUnharmed(const StreamsResult& result) {
  StreamsOptions options;
  options.hostile = true;
  return ToJson(options, result)["hostile"]["others_unharmed"];
}

TEST(StreamsReport, SumsUpOverStreams) {
  const auto json = ToJson(StreamsOptions(), Streams({1, 3}, 5, 2, 7));
  EXPECT_EQ(json["frames_in"], 2000);
  EXPECT_EQ(json["frames_late"], 5);
  EXPECT_EQ(json["identity_frames_late"], 2);
  EXPECT_EQ(json["frames_lost"], 7);
  EXPECT_EQ(json["tags_per_second"]["min"], 1);
  EXPECT_EQ(json["tags_per_second"]["max"], 3);
  EXPECT_EQ(json["images_per_second"], 4);
  EXPECT_DOUBLE_EQ(json["jain"], 0.8);
  EXPECT_FALSE(json.contains("hostile"));
}

TEST(StreamsReport, SaysWhetherTheOthersNoticed) {
  EXPECT_TRUE(SaidUnharmed(Streams({1, 1}, 0, 0)));
  EXPECT_TRUE(SaidUnharmed(Streams({1, 1}, 12, 10)));  // one in a thousand more
  EXPECT_FALSE(SaidUnharmed(Streams({1, 1}, 13, 10)));
  EXPECT_FALSE(SaidUnharmed(Streams({1, 1}, 0, 0, 1)));  // lost
  EXPECT_FALSE(SaidUnharmed(Streams({1, 8}, 0, 0)));     // unevenly
}

}  // namespace
}  // namespace cliptag
