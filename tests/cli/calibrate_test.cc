// Thresholds from samples made by hand, and tables of labels.
#include "plugin/cli/eval/calibrate/calibrate.h"

#include <gtest/gtest.h>

#include "plugin/cli/eval/measures/dataset.h"
#include "tests/cli/test_files.h"

namespace cliptag {
namespace {

std::vector<Sample> Samples(const std::vector<double>& shows, const std::vector<double>& others) {
  std::vector<Sample> samples;
  for (double score : shows) samples.push_back({score, true});
  for (double score : others) samples.push_back({score, false});
  return samples;
}

TEST(Calibrate, SeparableScoresAreSplitInTheMiddle) {
  const Calibration c =
      Calibrate(Samples({0.9, 0.8, 0.95, 0.99, 0.85}, {0.1, 0.2, 0.4, 0.3}), {}, 0.5, 0.4);
  EXPECT_TRUE(c.reached);
  EXPECT_DOUBLE_EQ(c.threshold, 0.6);
  EXPECT_EQ(c.positives, 5);
  EXPECT_EQ(c.negatives, 4);
  EXPECT_DOUBLE_EQ(c.precision, 1);
  EXPECT_DOUBLE_EQ(c.recall, 1);
  EXPECT_DOUBLE_EQ(c.off_threshold, 0.48) << "the ratio bounds it";
}

TEST(Calibrate, TheLowestThresholdThatIsPreciseEnough) {
  // From above: ten right, one wrong, five right, ten wrong.
  std::vector<double> shows, others = {0.855};
  for (int i = 0; i < 10; ++i) shows.push_back(0.9 + 0.005 * i);
  for (int i = 0; i < 5; ++i) shows.push_back(0.7 + 0.01 * i);
  for (int i = 0; i < 10; ++i) others.push_back(0.3 + 0.01 * i);
  Calibration c = Calibrate(Samples(shows, others), {.min_precision = 0.93}, 0.5, 0.4);
  EXPECT_TRUE(c.reached);
  EXPECT_NEAR(c.threshold, 0.545, 0.006) << "15 of 16 are right";
  EXPECT_DOUBLE_EQ(c.recall, 1);
  EXPECT_DOUBLE_EQ(c.precision, 15 / 16.0);
  c = Calibrate(Samples(shows, others), {.min_precision = 0.95}, 0.5, 0.4);
  EXPECT_TRUE(c.reached);
  EXPECT_GT(c.threshold, 0.855);
  EXPECT_LE(c.threshold, 0.9);
  EXPECT_DOUBLE_EQ(c.precision, 1);
  EXPECT_DOUBLE_EQ(c.recall, 10 / 15.0);
}

TEST(Calibrate, EqualScoresStandOrFallTogether) {
  const Calibration c =
      Calibrate(Samples({0.9, 0.9, 0.9, 0.9, 0.9, 0.5}, {0.5, 0.5, 0.5}), {}, 0.5, 0.4);
  EXPECT_TRUE(c.reached);
  EXPECT_DOUBLE_EQ(c.threshold, 0.7);
  const Calibration mixed =
      Calibrate(Samples({0.9, 0.9, 0.9, 0.9, 0.9}, {0.9, 0.9}), {}, 0.55, 0.45);
  EXPECT_FALSE(mixed.reached);
  EXPECT_DOUBLE_EQ(mixed.threshold, 0.55);
}

TEST(Calibrate, WhatCannotBeReachedKeepsTheOldThresholds) {
  Calibration c =
      Calibrate(Samples({0.5, 0.6, 0.7, 0.8, 0.9}, {0.55, 0.65, 0.75, 0.85, 0.95}), {}, 0.72, 0.6);
  EXPECT_FALSE(c.reached);
  EXPECT_DOUBLE_EQ(c.threshold, 0.72);
  EXPECT_DOUBLE_EQ(c.off_threshold, 0.6);
  EXPECT_DOUBLE_EQ(c.precision, 0.4) << "of the old one";
  EXPECT_DOUBLE_EQ(c.recall, 0.4);
  EXPECT_NE(c.why_not.find("0.95 is not reached, at best 0.5"), std::string::npos) << c.why_not;
  c = Calibrate(Samples({0.9, 0.9, 0.9, 0.9}, {0.1}), {}, 0.5, 0.4);
  EXPECT_FALSE(c.reached);
  EXPECT_NE(c.why_not.find("4 frames show it"), std::string::npos) << c.why_not;
  c = Calibrate(Samples({0.9, 0.9, 0.9, 0.9, 0.9}, {}), {}, 0.5, 0.4);
  EXPECT_FALSE(c.reached);
  EXPECT_NE(c.why_not.find("every frame"), std::string::npos) << c.why_not;
  c = Calibrate({}, {}, 0.5, 0.4);
  EXPECT_FALSE(c.reached);
  EXPECT_DOUBLE_EQ(c.precision, 1);
  EXPECT_DOUBLE_EQ(c.recall, 0);
}

TEST(Calibrate, TheOffThresholdKeepsTheTagOnAndLetsItEnd) {
  // Frames that show it trail down to 0.3, the others reach 0.2; the threshold is high because one
  // of the others is.
  std::vector<double> shows, others = {0.8};
  for (int i = 0; i < 100; ++i) shows.push_back(0.3 + 0.0069 * i);
  for (int i = 0; i < 100; ++i) others.push_back(0.002 * i);
  Calibration c = Calibrate(Samples(shows, others), {.min_precision = 1}, 0.5, 0.4);
  ASSERT_TRUE(c.reached);
  EXPECT_GT(c.threshold, 0.8);
  EXPECT_NEAR(c.off_threshold, 0.33, 0.01) << "19 of 20 are above";
  for (double& score : others) score += score < 0.5 ? 0.25 : 0;
  c = Calibrate(Samples(shows, others), {.min_precision = 1}, 0.5, 0.4);
  EXPECT_NEAR(c.off_threshold, 0.44, 0.01) << "19 of 20 of the others are below";
  c = Calibrate(Samples(shows, others), {.min_precision = 1, .off_ratio = 0.25}, 0.5, 0.4);
  EXPECT_NEAR(c.off_threshold, 0.25 * c.threshold, 1e-4);
}

TEST(Calibrate, CloseScoresGetAThresholdBetweenThem) {
  const double high = 0.99999981, low = 0.99999979;
  const Calibration c = Calibrate(Samples(std::vector<double>(5, high), {low}), {}, 0.5, 0.4);
  ASSERT_TRUE(c.reached);
  EXPECT_GT(c.threshold, low);
  EXPECT_LE(c.threshold, high);
}

class LabelTest : public ::testing::Test {
 protected:
  void Write(const std::string& name, const std::string& text) {
    WriteBytes(folder_ / name, {text.begin(), text.end()});
  }
  Status Table(const std::string& text, Dataset* dataset) {
    Write("labels.csv", text);
    return ReadLabelTable(folder_ / "labels.csv", dataset);
  }
  TemporaryFolder folder_;
};

TEST_F(LabelTest, TableOfSpans) {
  Write("a.mp4", "x");
  Write("b, \"c\".mp4", "x");
  Dataset dataset;
  const Status status = Table(
      "\xEF\xBB\xBF"
      "file,start,end,label\r\n"
      "a.mp4, 1.5, 3, car\n\n"
      "a.mp4,2,,\"a \"\"big\"\" dog\"\n"
      "\"b, \"\"c\"\".mp4\",,,\n",
      &dataset);
  ASSERT_TRUE(status.ok()) << status.message();
  ASSERT_EQ(dataset.files.size(), 2u);
  const LabelledFile& a = dataset.files[0];
  EXPECT_FALSE(a.Shows("car", 1.4));
  EXPECT_TRUE(a.Shows("car", 1.5));
  EXPECT_FALSE(a.Shows("car", 3.0)) << "the end is not part of it";
  EXPECT_TRUE(a.Shows("a \"big\" dog", 1e6));
  EXPECT_TRUE(a.Shows("car", std::nullopt)) << "a picture";
  EXPECT_FALSE(a.Shows("cat", 2.0));
  EXPECT_EQ(dataset.files[1].path, folder_ / "b, \"c\".mp4");
  EXPECT_TRUE(dataset.files[1].spans.empty());
}

TEST_F(LabelTest, TableErrorsNameTheRow) {
  Write("a.mp4", "x");
  const struct {
    const char *row, *named;
  } cases[] = {{"a.mp4,1,2", "four fields"},    {",1,2,car", "four fields"},
               {"a.mp4,one,2,car", "no span"},  {"a.mp4,-1,2,car", "no span"},
               {"a.mp4,1,nan,car", "no span"},  {"a.mp4,2,2,car", "ends before"},
               {"none.mp4,1,2,car", "no file"}, {"a.mp4,1,2,car,more", "four fields"}};
  for (const auto& c : cases) {
    Dataset dataset;
    const Status status = Table(std::string("a.mp4,1,2,car\n") + c.row + "\n", &dataset);
    EXPECT_NE(status.message().find("labels.csv', line 2"), std::string::npos)
        << c.row << ": " << status.message();
    EXPECT_NE(status.message().find(c.named), std::string::npos) << status.message();
  }
  Dataset dataset;
  EXPECT_NE(ReadLabelTable(folder_ / "none.csv", &dataset).message().find("none.csv"),
            std::string::npos);
}

TEST_F(LabelTest, FoldersOfLabels) {
  Dataset dataset;
  EXPECT_NE(ReadLabelFolders(folder_ / "none", &dataset).message().find("no folder"),
            std::string::npos);
  EXPECT_NE(ReadLabelFolders(folder_ / "", &dataset).message().find("no files"), std::string::npos);
  std::filesystem::create_directories(folder_ / "car/parked");
  std::filesystem::create_directories(folder_ / "dog");
  for (const char* name : {"car/b.png", "car/parked/a.png", "dog/a.png", "dog/.hidden"}) {
    Write(name, "x");
  }
  ASSERT_TRUE(ReadLabelFolders(folder_ / "", &dataset).ok());
  ASSERT_EQ(dataset.files.size(), 3u);
  EXPECT_TRUE(dataset.files[0].Shows("car", std::nullopt));
  EXPECT_TRUE(dataset.files[1].Shows("car", 100.0)) << dataset.files[1].path;
  EXPECT_TRUE(dataset.files[2].Shows("dog", std::nullopt));
  EXPECT_FALSE(dataset.files[2].Shows("car", std::nullopt));
  Write("stray.png", "x");
  EXPECT_NE(ReadLabelFolders(folder_ / "", &dataset).message().find("stray.png"),
            std::string::npos);
}

}  // namespace
}  // namespace cliptag
