// The property `metrics-file`, and the writer behind it.
#include "plugin/elements/metrics_file.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>

#include "tests/elements/cliptag_fixture.h"

namespace cliptag::test {
namespace {

std::string ReadAll(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// The value of a metric of that stream; "" where there is none.
std::string ValueIn(const std::string& text, const std::string& metric, const std::string& stream) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const size_t end = line.find("} ");
    if (line.rfind(metric + "{stream=\"" + stream + "\"", 0) == 0 && end != std::string::npos) {
      return line.substr(end + 2);
    }
  }
  return "";
}

// How many threads of this process write metrics.
int WriterThreads() {
  int count = 0;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    if (ReadAll(task.path() / "comm") == "cliptag-metrics\n") ++count;
  }
  return count;
}

GstStructure* Stats(guint64 inferred) {
  return gst_structure_new("cliptag-stats", "frames-in", G_TYPE_UINT64, guint64{40}, "inferred",
                           G_TYPE_UINT64, inferred, "mean-batch", G_TYPE_DOUBLE, 2.5, "latency-p50",
                           G_TYPE_UINT64, guint64{1'500'000}, "too-slow", G_TYPE_BOOLEAN, TRUE,
                           "model", G_TYPE_STRING, "starter", "backend", G_TYPE_STRING, "cpu",
                           "precision", G_TYPE_STRING, "fp32", nullptr);
}

class MetricsTest : public ClipTagTest {
 protected:
  void SetUp() override {
    ClipTagTest::SetUp();
    char name[] = "/tmp/cliptag-metrics.XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    folder_ = name;
    path_ = folder_ + "/metrics.prom";
  }
  void TearDown() override {
    ClipTagTest::TearDown();
    EXPECT_EQ(WriterThreads(), 0);
    std::filesystem::remove_all(folder_);
  }

  MetricsSource Source(const std::string& stream) {
    MetricsSource source;
    source.stream = stream;
    source.stats = [this] {
      ++asked_;
      return Stats(inferred_);
    };
    source.warn = [this](const std::string& text) {
      const std::lock_guard lock(mutex_);
      warnings_.push_back(text);
    };
    return source;
  }
  std::vector<std::string> warnings() {
    const std::lock_guard lock(mutex_);
    return warnings_;
  }

  std::string folder_, path_;
  std::atomic<int> asked_{0};
  std::atomic<guint64> inferred_{10};

 private:
  std::mutex mutex_;
  std::vector<std::string> warnings_;
};

TEST(MetricsFormat, IsExactlyThis) {
  GstStructure* stats = Stats(10);
  const MetricsRow rows[] = {{"/a", stats, 12.5}};
  const std::string labels = R"({stream="/a",model="starter",backend="cpu",precision="fp32"} )";
  const std::string text = FormatMetrics(rows);
  EXPECT_EQ(
      text,
      "# HELP cliptag_frames_total Frames that have come in.\n"
      "# TYPE cliptag_frames_total counter\n"
      "cliptag_frames_total" +
          labels +
          "40\n"
          "# HELP cliptag_inferred_total Frames that the engine has looked at.\n"
          "# TYPE cliptag_inferred_total counter\n"
          "cliptag_inferred_total" +
          labels +
          "10\n"
          "# HELP cliptag_too_slow 1 while fewer frames are looked at than are due.\n"
          "# TYPE cliptag_too_slow gauge\n"
          "cliptag_too_slow" +
          labels +
          "1\n"
          "# HELP cliptag_batch_mean_frames Frames in such a batch, on average.\n"
          "# TYPE cliptag_batch_mean_frames gauge\n"
          "cliptag_batch_mean_frames" +
          labels +
          "2.5\n"
          "# HELP cliptag_latency_p50_seconds Median time from handing a frame over to its tags, "
          "lately.\n"
          "# TYPE cliptag_latency_p50_seconds gauge\n"
          "cliptag_latency_p50_seconds" +
          labels +
          "0.0015\n"
          "# HELP cliptag_images_per_second Frames that the engine has looked at, per second, "
          "lately.\n"
          "# TYPE cliptag_images_per_second gauge\n"
          "cliptag_images_per_second" +
          labels + "12.5\n");
  gst_structure_free(stats);
}

TEST(MetricsFormat, EscapesLabelsAndTellsSameNamesApart) {
  GstStructure* stats = Stats(10);
  const MetricsRow rows[] = {
      {"a\\b\"c\nd", stats, -1}, {"same", stats, -1}, {"same", stats, -1}, {"bad\xff", stats, -1}};
  const std::string text = FormatMetrics(rows);
  EXPECT_NE(text.find(R"(cliptag_frames_total{stream="a\\b\"c\nd",)"), std::string::npos) << text;
  EXPECT_EQ(ValueIn(text, "cliptag_frames_total", "same"), "40");
  EXPECT_EQ(ValueIn(text, "cliptag_frames_total", "same#2"), "40");
  EXPECT_TRUE(g_utf8_validate(text.c_str(), -1, nullptr));
  EXPECT_EQ(text.find("images_per_second"), std::string::npos);
  gst_structure_free(stats);
}

TEST(MetricsFormat, IsEmptyWithoutStreams) { EXPECT_EQ(FormatMetrics({}), ""); }

TEST_F(MetricsTest, WritesAtOnceAndOnceASecond) {
  auto registration = RegisterMetrics(path_, Source("s"));
  ASSERT_TRUE(WaitFor([&] { return std::filesystem::exists(path_); }));
  EXPECT_EQ(ValueIn(ReadAll(path_), "cliptag_inferred_total", "s"), "10");
  EXPECT_EQ(ValueIn(ReadAll(path_), "cliptag_images_per_second", "s"), "");
  inferred_ = 35;
  ASSERT_TRUE(
      WaitFor([&] { return ValueIn(ReadAll(path_), "cliptag_inferred_total", "s") == "35"; }));
  // 25 in a second, or a little more on a busy machine.
  const double rate = std::stod(ValueIn(ReadAll(path_), "cliptag_images_per_second", "s"));
  EXPECT_GT(rate, 0.5);
  EXPECT_LE(rate, 50);
  EXPECT_LE(asked_, 4);
}

TEST_F(MetricsTest, LeavesTheLastNumbersAndNothingElse) {
  {
    auto registration = RegisterMetrics(path_, Source("s"));
    ASSERT_TRUE(WaitFor([&] { return asked_ > 0; }));
    inferred_ = 77;
  }
  EXPECT_EQ(ValueIn(ReadAll(path_), "cliptag_inferred_total", "s"), "77");
  const std::filesystem::directory_iterator folder(folder_);
  EXPECT_EQ(std::distance(begin(folder), end(folder)), 1) << "a temporary file is left";
  struct stat info {};
  ASSERT_EQ(stat(path_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0444, 0444u) << "others read it";
}

TEST_F(MetricsTest, OneThreadAPathHoweverItIsWritten) {
  auto a = RegisterMetrics(path_, Source("a"));
  auto b = RegisterMetrics(folder_ + "/./metrics.prom", Source("b"));
  auto c = RegisterMetrics(folder_ + "/other.prom", Source("c"));
  EXPECT_TRUE(WaitFor([] { return WriterThreads() == 2; })) << WriterThreads();
  ASSERT_TRUE(
      WaitFor([&] { return ValueIn(ReadAll(path_), "cliptag_frames_total", "b") == "40"; }));
  EXPECT_EQ(ValueIn(ReadAll(path_), "cliptag_frames_total", "a"), "40");
  EXPECT_EQ(ValueIn(ReadAll(path_), "cliptag_frames_total", "c"), "");
  // One that has stopped is still there with its last numbers.
  inferred_ = 11;
  a.reset();
  inferred_ = 12;
  b.reset();
  EXPECT_EQ(ValueIn(ReadAll(path_), "cliptag_inferred_total", "a"), "11");
  EXPECT_EQ(ValueIn(ReadAll(path_), "cliptag_inferred_total", "b"), "12");
}

TEST_F(MetricsTest, OneThatComesBackIsThereOnce) {
  auto other = RegisterMetrics(path_, Source("other"));
  for (int i = 0; i < 3; ++i) RegisterMetrics(path_, Source("s"));
  auto again = RegisterMetrics(path_, Source("s"));
  other.reset();
  again.reset();
  const std::string text = ReadAll(path_);
  EXPECT_EQ(ValueIn(text, "cliptag_frames_total", "s"), "40");
  EXPECT_EQ(ValueIn(text, "cliptag_frames_total", "s#2"), "") << text;
}

TEST_F(MetricsTest, APathThatCannotBeWrittenIsOneWarningAndTriedAgain) {
  path_ = folder_ + "/later/metrics.prom";
  auto registration = RegisterMetrics(path_, Source("s"));
  auto second = RegisterMetrics(path_, Source("t"));
  ASSERT_TRUE(WaitFor([&] { return asked_ >= 6; }));
  ASSERT_EQ(warnings().size(), 1u);
  EXPECT_NE(warnings()[0].find(path_), std::string::npos) << warnings()[0];
  EXPECT_NE(warnings()[0].find("No such file or directory"), std::string::npos) << warnings()[0];
  std::filesystem::create_directory(folder_ + "/later");
  EXPECT_TRUE(WaitFor([&] { return std::filesystem::exists(path_); }));
  EXPECT_EQ(warnings().size(), 1u);
}

// A disk that is full, as far as a test can have one.
TEST_F(MetricsTest, AWriteThatFailsLeavesWhatWasThere) {
  ASSERT_EQ(ReplaceMetricsFile(path_, "old"), "");
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = signal(SIGXFSZ, SIG_IGN);
  const rlimit four{4, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &four), 0);
  const std::string problem = ReplaceMetricsFile(path_, "longer than four bytes");
  setrlimit(RLIMIT_FSIZE, &before);
  signal(SIGXFSZ, handler);
  EXPECT_NE(problem.find("File too large"), std::string::npos) << problem;
  EXPECT_EQ(ReadAll(path_), "old");
  const std::filesystem::directory_iterator folder(folder_);
  EXPECT_EQ(std::distance(begin(folder), end(folder)), 1) << "a temporary file is left";
}

TEST_F(MetricsTest, ALinkInPlaceOfTheTemporaryFileIsNotFollowed) {
  const std::string victim = folder_ + "/victim";
  std::ofstream(victim) << "precious";
  std::filesystem::create_symlink(victim, path_ + "." + std::to_string(getpid()) + ".tmp");
  EXPECT_NE(ReplaceMetricsFile(path_, "text"), "");
  EXPECT_EQ(ReadAll(victim), "precious");
}

TEST_F(MetricsTest, WhatIsNoFileIsLeftAlone) {
  EXPECT_NE(ReplaceMetricsFile(folder_, "text").find("is a directory"), std::string::npos);
  EXPECT_NE(ReplaceMetricsFile("/dev/null", "text").find("is a device"), std::string::npos);
  struct stat info {};
  ASSERT_EQ(stat("/dev/null", &info), 0);
  EXPECT_TRUE(S_ISCHR(info.st_mode));
}

TEST_F(MetricsTest, ALinkStaysOne) {
  const std::string target = folder_ + "/target";
  std::ofstream(target) << "old";
  std::filesystem::create_symlink(target, path_);
  RegisterMetrics(path_, Source("s"));
  EXPECT_TRUE(std::filesystem::is_symlink(path_));
  EXPECT_EQ(ValueIn(ReadAll(target), "cliptag_frames_total", "s"), "40");
}

TEST_F(MetricsTest, TheElementsNumbersAreInIt) {
  Set("metrics-file", path_);
  PlayAndWait();
  for (guint64 n = 0; n < 3; ++n) Through(n);
  gst_element_set_state(element_, GST_STATE_NULL);
  const std::string text = ReadAll(path_), name = GST_OBJECT_NAME(element_);
  EXPECT_EQ(ValueIn(text, "cliptag_frames_total", "/GstClipTag:" + name), "3") << text;
  EXPECT_EQ(ValueIn(text, "cliptag_inferred_total", "/GstClipTag:" + name), "3") << text;
  EXPECT_NE(text.find("backend=\"fake\""), std::string::npos) << text;
  EXPECT_TRUE(Warnings().empty());
}

TEST_F(MetricsTest, TheVideoGoesOnWhenItCannotBeWritten) {
  Set("metrics-file", folder_ + "/nowhere/metrics.prom");
  PlayAndWait();
  std::vector<std::string> warnings;
  EXPECT_TRUE(WaitFor([&] {
    for (const std::string& text : Warnings()) warnings.push_back(text);
    return !warnings.empty();
  }));
  EXPECT_NE(MetaOf(Through(0).get()), nullptr);
  ASSERT_EQ(warnings.size(), 1u);
  EXPECT_NE(warnings[0].find("nowhere/metrics.prom"), std::string::npos) << warnings[0];
}

TEST_F(MetricsTest, IsFixedWhileTheElementRuns) {
  PlayAndWait();
  Set("metrics-file", path_);
  const auto warnings = Warnings();
  ASSERT_EQ(warnings.size(), 1u);
  EXPECT_NE(warnings[0].find("metrics-file"), std::string::npos);
  gchar* value = nullptr;
  g_object_get(element_, "metrics-file", &value, nullptr);
  EXPECT_EQ(value, nullptr);
  g_free(value);
}

}  // namespace
}  // namespace cliptag::test
