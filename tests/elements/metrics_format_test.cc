// Prometheus' text of the metrics, and the counts of tags in it.
#include <memory>
#include <string>

#include "plugin/elements/metrics/file.h"
#include "tests/elements/gst_test.h"

namespace cliptag::test {
namespace {

constexpr char kStream[] = R"(stream="/a",model="starter",backend="cpu",precision="fp32")";

class MetricsFormatTest : public ::testing::Test {
 protected:
  // Every "{}" stands for the labels of stream /a.
  static std::string Expected(std::string text) {
    for (size_t at; (at = text.find("{}")) != std::string::npos;)
      text.replace(at, 2, std::string("{") + kStream + "}");
    return text;
  }

  const std::unique_ptr<GstStructure, decltype(&gst_structure_free)> owned_{
      gst_structure_new("cliptag-stats", "frames-in", G_TYPE_UINT64, guint64{40}, "inferred",
                        G_TYPE_UINT64, guint64{10}, "mean-batch", G_TYPE_DOUBLE, 2.5, "latency-p50",
                        G_TYPE_UINT64, guint64{1'500'000}, "too-slow", G_TYPE_BOOLEAN, TRUE,
                        "model", G_TYPE_STRING, "starter", "backend", G_TYPE_STRING, "cpu",
                        "precision", G_TYPE_STRING, "fp32", nullptr),
      gst_structure_free};
  const GstStructure* const stats_ = owned_.get();
};

TEST_F(MetricsFormatTest, IsExactlyThis) {
  const MetricsRow rows[] = {{"/a", stats_, 12.5}};
  EXPECT_EQ(FormatMetrics(rows), Expected(R"(# HELP cliptag_frames_total Frames received.
# TYPE cliptag_frames_total counter
cliptag_frames_total{} 40
# HELP cliptag_inferred_total Frames inferred.
# TYPE cliptag_inferred_total counter
cliptag_inferred_total{} 10
# HELP cliptag_too_slow 1 while fewer frames are inferred than are due.
# TYPE cliptag_too_slow gauge
cliptag_too_slow{} 1
# HELP cliptag_batch_mean_frames Frames in such a batch, on average.
# TYPE cliptag_batch_mean_frames gauge
cliptag_batch_mean_frames{} 2.5
# HELP cliptag_latency_p50_seconds Median time from submitting a frame to its tags, of recent frames.
# TYPE cliptag_latency_p50_seconds gauge
cliptag_latency_p50_seconds{} 0.0015
# HELP cliptag_images_per_second Frames inferred per second, since the last write of this file.
# TYPE cliptag_images_per_second gauge
cliptag_images_per_second{} 12.5
)"));
  EXPECT_EQ(FormatMetrics({}), "");
}

TEST_F(MetricsFormatTest, EscapesLabelsAndTellsSameNamesApart) {
  const MetricsRow rows[] = {{"a\\b\"c\nd", stats_, -1},
                             {"same", stats_, -1},
                             {"same", stats_, -1},
                             {"bad\xff", stats_, -1}};
  const std::string text = FormatMetrics(rows);
  for (const char* stream : {R"(a\\b\"c\nd)", "same", "same#2"}) {
    const std::string sample = std::string("\ncliptag_frames_total{stream=\"") + stream + "\",";
    EXPECT_NE(text.find(sample), std::string::npos) << text;
  }
  EXPECT_TRUE(g_utf8_validate(text.c_str(), -1, nullptr));
  EXPECT_EQ(text.find("images_per_second"), std::string::npos);
}

TEST_F(MetricsFormatTest, HasTags) {
  const TagCount tags[] = {{"a \"red\" car\\\n", true, 0.75, 2, 1}, {"dog", false, -1, 0, 0}};
  const MetricsRow rows[] = {{"/a", stats_, -1, tags}};
  const std::string text = FormatMetrics(rows);
  const size_t at = text.find("# HELP cliptag_tag_active");
  ASSERT_NE(at, std::string::npos) << text;
  std::string expected = R"(# HELP cliptag_tag_active 1 while the tag is active.
# TYPE cliptag_tag_active gauge
cliptag_tag_active{CAR} 1
cliptag_tag_active{DOG} 0
# HELP cliptag_tag_score Score of the tag in the last inference, if it was listed there.
# TYPE cliptag_tag_score gauge
cliptag_tag_score{CAR} 0.75
# HELP cliptag_tag_events_total Starts and ends of the tag.
# TYPE cliptag_tag_events_total counter
cliptag_tag_events_total{CAR,state="start"} 2
cliptag_tag_events_total{CAR,state="end"} 1
cliptag_tag_events_total{DOG,state="start"} 0
cliptag_tag_events_total{DOG,state="end"} 0
)";
  const std::string labels = std::string(kStream) + ",label=";
  for (size_t i; (i = expected.find("CAR")) != std::string::npos;)
    expected.replace(i, 3, labels + R"("a \"red\" car\\\n")");
  for (size_t i; (i = expected.find("DOG")) != std::string::npos;)
    expected.replace(i, 3, labels + "\"dog\"");
  EXPECT_EQ(text.substr(at), expected);
}

Tag Listed(const std::string& label, double score, bool active) {
  Tag tag;
  tag.label = label;
  tag.score = score;
  tag.active = active;
  return tag;
}

TEST(TagCountsTest, FollowsResultsAndEvents) {
  TagCounts counts;
  InferenceResult result;
  result.tags = {Listed("car", 0.7, true), Listed("car", 0.9, false), Listed("dog", 0.1, false)};
  result.events.resize(1);
  result.events[0].label = "car";
  result.events[0].start = true;
  counts.Add(result);
  auto all = counts.All();
  ASSERT_EQ(all.size(), 2u);
  EXPECT_TRUE(all[0].active);
  EXPECT_EQ(all[0].score, 0.9);
  EXPECT_EQ(all[0].starts, 1u);
  EXPECT_FALSE(all[1].active);
  // Listed no longer; new prompts leave what is active.
  counts.Forget();
  counts.Add({});
  all = counts.All();
  ASSERT_EQ(all.size(), 1u);
  EXPECT_FALSE(all[0].active);
  EXPECT_LT(all[0].score, 0);
  counts.EndOf("car");
  EXPECT_EQ(counts.All()[0].ends, 1u);
  counts.Forget();
  EXPECT_TRUE(counts.All().empty());
}

TEST(TagCountsTest, KeepsFewLabelsAndShortOnes) {
  TagCounts counts;
  for (int n = 0; n < 1000; ++n) {
    InferenceResult result;
    result.tags = {Listed("idle " + std::to_string(n), 0.1, false),
                   Listed("busy " + std::to_string(n), 0.9, true)};
    counts.Add(result);
  }
  EXPECT_EQ(counts.All().size(), 2 * TagCounts::kMost);
  counts.NoneActive();
  counts.Forget();
  InferenceResult result;
  std::string longest;
  for (int n = 0; n < 500; ++n) longest += "ö";
  result.tags = {Listed(longest + "a", 0.1, false), Listed(longest + "b", 0.9, true)};
  counts.Add(result);
  const auto all = counts.All();
  ASSERT_EQ(all.size(), 1u);
  EXPECT_LE(all[0].label.size(), TagCounts::kLongest);
  EXPECT_TRUE(g_utf8_validate(all[0].label.c_str(), -1, nullptr)) << all[0].label;
  EXPECT_TRUE(all[0].active);
}

}  // namespace
}  // namespace cliptag::test
