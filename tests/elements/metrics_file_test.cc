// The property `metrics-file`, and the writer behind it.
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <future>
#include <memory>
#include <mutex>
#include <sstream>
#include <thread>

#include "plugin/elements/metrics/file.h"
#include "tests/elements/cliptag_fixture.h"
#include "tests/elements/temporary_folder.h"

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

class MetricsTest : public ClipTagTest {
 protected:
  void TearDown() override {
    ClipTagTest::TearDown();
    // A writer that stopped its own element ends by itself, a moment later.
    EXPECT_TRUE(WaitFor([] { return WriterThreads() == 0; }, 10)) << WriterThreads();
  }

  MetricsSource Source(const std::string& stream) {
    MetricsSource source;
    source.stream = stream;
    source.stats = [this] {
      ++asked_;
      return gst_structure_new("stats", "frames-in", G_TYPE_UINT64, guint64{40}, "inferred",
                               G_TYPE_UINT64, inferred_.load(), nullptr);
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

  const TemporaryFolder folder_;
  std::string path_ = folder_ / "metrics.prom";
  std::atomic<int> asked_{0};
  std::atomic<guint64> inferred_{10};

 private:
  std::mutex mutex_;
  std::vector<std::string> warnings_;
};

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

TEST_F(MetricsTest, LeavesNothing) {
  auto registration = RegisterMetrics(path_, Source("s"));
  ASSERT_TRUE(WaitFor([&] { return std::filesystem::exists(path_); }));
  struct stat info {};
  ASSERT_EQ(stat(path_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0444, 0444u) << "others read it";
  registration.reset();
  EXPECT_TRUE(std::filesystem::is_empty(folder_ / ""));
}

TEST_F(MetricsTest, WhatAnotherProcessHasPutThereStays) {
  struct stat written {};
  ASSERT_EQ(ReplaceMetricsFile(path_, "ours", &written), "");
  ASSERT_EQ(ReplaceMetricsFile(path_, "another's"), "");
  RemoveMetricsFile(path_, written);
  EXPECT_EQ(ReadAll(path_), "another's");
  ASSERT_EQ(ReplaceMetricsFile(path_, "ours", &written), "");
  RemoveMetricsFile(path_, written);
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(MetricsTest, OneThreadAPathHoweverItIsWritten) {
  auto a = RegisterMetrics(path_, Source("a"));
  auto b = RegisterMetrics(folder_ / "./metrics.prom", Source("b"));
  auto c = RegisterMetrics(folder_ / "other.prom", Source("c"));
  EXPECT_TRUE(WaitFor([] { return WriterThreads() == 2; })) << WriterThreads();
  ASSERT_TRUE(
      WaitFor([&] { return ValueIn(ReadAll(path_), "cliptag_frames_total", "b") == "40"; }));
  EXPECT_EQ(ValueIn(ReadAll(path_), "cliptag_frames_total", "a"), "40");
  EXPECT_EQ(ValueIn(ReadAll(path_), "cliptag_frames_total", "c"), "");
  // One that has stopped is still there with its last numbers.
  inferred_ = 11;
  a.reset();
  inferred_ = 12;
  ASSERT_TRUE(
      WaitFor([&] { return ValueIn(ReadAll(path_), "cliptag_inferred_total", "b") == "12"; }));
  EXPECT_EQ(ValueIn(ReadAll(path_), "cliptag_inferred_total", "a"), "11");
}

TEST_F(MetricsTest, OneThatComesBackIsThereOnce) {
  auto other = RegisterMetrics(path_, Source("other"));
  for (int i = 0; i < 3; ++i) RegisterMetrics(path_, Source("s"));
  inferred_ = 11;
  auto again = RegisterMetrics(path_, Source("s"));
  ASSERT_TRUE(
      WaitFor([&] { return ValueIn(ReadAll(path_), "cliptag_inferred_total", "s") == "11"; }));
  const std::string text = ReadAll(path_);
  EXPECT_EQ(ValueIn(text, "cliptag_frames_total", "s#2"), "") << text;
}

TEST_F(MetricsTest, APathThatCannotBeWrittenIsOneWarningAndTriedAgain) {
  path_ = folder_ / "later/metrics.prom";
  auto registration = RegisterMetrics(path_, Source("s"));
  auto second = RegisterMetrics(path_, Source("t"));
  ASSERT_TRUE(WaitFor([&] { return asked_ >= 6; }));
  ASSERT_EQ(warnings().size(), 1u);
  EXPECT_NE(warnings()[0].find(path_), std::string::npos) << warnings()[0];
  EXPECT_NE(warnings()[0].find("No such file or directory"), std::string::npos) << warnings()[0];
  std::filesystem::create_directory(folder_ / "later");
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
  const std::filesystem::directory_iterator files(folder_ / "");
  EXPECT_EQ(std::distance(begin(files), end(files)), 1) << "a temporary file is left";
}

// However slow a disk is: an element that stops waits for its own file alone.
TEST_F(MetricsTest, AWriterThatHangsHoldsNoOtherElement) {
  std::promise<void> go, asked;
  MetricsSource slow = Source("slow");
  slow.warn = [&, wait = go.get_future().share()](const std::string&) {
    asked.set_value();
    wait.wait();
  };
  auto hanging = RegisterMetrics(folder_ / "nowhere/metrics.prom", std::move(slow));
  asked.get_future().wait();
  std::thread stops([&] { hanging.reset(); });
  // Others come and go meanwhile, until that thread is the only one left.
  for (int n = 0; n < 3; ++n) {
    auto other = RegisterMetrics(path_, Source("s"));
    ASSERT_TRUE(WaitFor([&] { return std::filesystem::exists(path_); }));
  }
  go.set_value();
  stops.join();
}

TEST_F(MetricsTest, OneAfterTheOtherHasTheFileToItself) {
  for (int n = 0; n < 50; ++n) {
    auto first = RegisterMetrics(path_, Source("a"));
    std::thread stops([&] { first.reset(); });
    auto second = RegisterMetrics(path_, Source("b"));
    EXPECT_TRUE(
        WaitFor([&] { return ValueIn(ReadAll(path_), "cliptag_frames_total", "b") == "40"; }));
    stops.join();
    second.reset();
    EXPECT_TRUE(std::filesystem::is_empty(folder_ / ""));
    EXPECT_TRUE(warnings().empty());
  }
}

TEST_F(MetricsTest, WhatIsNoFileIsLeftAlone) {
  EXPECT_NE(ReplaceMetricsFile(folder_ / "", "text").find("is a directory"), std::string::npos);
  EXPECT_NE(ReplaceMetricsFile("/dev/null", "text").find("is a device"), std::string::npos);
  struct stat info {};
  ASSERT_EQ(stat("/dev/null", &info), 0);
  EXPECT_TRUE(S_ISCHR(info.st_mode));
}

TEST_F(MetricsTest, ALinkStaysOne) {
  const std::string target = folder_ / "target";
  std::ofstream(target) << "old";
  std::filesystem::create_symlink(target, path_);
  auto registration = RegisterMetrics(path_, Source("s"));
  EXPECT_TRUE(
      WaitFor([&] { return ValueIn(ReadAll(target), "cliptag_frames_total", "s") == "40"; }));
  EXPECT_TRUE(std::filesystem::is_symlink(path_));
}

TEST_F(MetricsTest, TheElementsNumbersAreInIt) {
  Set("metrics-file", path_);
  PlayAndWait();
  for (guint64 n = 0; n < 3; ++n) Through(n);
  const std::string name = std::string("/GstClipTag:") + GST_OBJECT_NAME(element_);
  ASSERT_TRUE(
      WaitFor([&] { return ValueIn(ReadAll(path_), "cliptag_frames_total", name) == "3"; }));
  const std::string text = ReadAll(path_);
  EXPECT_EQ(ValueIn(text, "cliptag_inferred_total", name), "3") << text;
  EXPECT_NE(text.find("backend=\"ref\""), std::string::npos) << text;
  EXPECT_NE(text.find("cliptag_tag_active{stream=\"" + name), std::string::npos) << text;
  gst_element_set_state(element_, GST_STATE_NULL);
  EXPECT_FALSE(std::filesystem::exists(path_));
  EXPECT_TRUE(Warnings().empty());
}

TEST_F(MetricsTest, TheVideoGoesOnWhenItCannotBeWritten) {
  Set("metrics-file", folder_ / "nowhere/metrics.prom");
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

// As an application does that answers a message where it is posted.
TEST_F(MetricsTest, AWarningMayBeAnsweredByAStop) {
  // Shared with the writer's thread, which may be within the handler still when this ends.
  struct Answer {
    GstElement* element;
    std::promise<void> playing, stopped;
    std::atomic<bool> answered{false};
  };
  const auto answer = std::make_shared<Answer>();
  answer->element = element_;
  // The bus orders what is done with the handler's data, by a lock that ThreadSanitizer does not
  // see.
  static std::mutex data_mutex;
  const auto new_data = [&] {
    const std::lock_guard lock(data_mutex);
    return new std::shared_ptr<Answer>(answer);
  };
  gst_bus_set_sync_handler(
      bus_,
      [](GstBus*, GstMessage* message, gpointer data) {
        if (GST_MESSAGE_TYPE(message) == GST_MESSAGE_WARNING) {
          const auto to = [&] {
            const std::lock_guard lock(data_mutex);
            return *static_cast<std::shared_ptr<Answer>*>(data);
          }();
          // Dropped: on the bus it would hold the element after the test has emptied that.
          gst_message_unref(message);
          if (to->answered.exchange(true)) return GST_BUS_DROP;
          to->playing.get_future().wait();  // states are changed by one thread at a time
          gst_element_set_state(to->element, GST_STATE_NULL);
          to->stopped.set_value();
          return GST_BUS_DROP;
        }
        return GST_BUS_PASS;
      },
      new_data(),
      [](gpointer data) {
        const std::lock_guard lock(data_mutex);
        delete static_cast<std::shared_ptr<Answer>*>(data);
      });
  Set("metrics-file", folder_ / "nowhere/metrics.prom");
  PlayAndWait();
  answer->playing.set_value();
  EXPECT_EQ(answer->stopped.get_future().wait_for(std::chrono::seconds(30)),
            std::future_status::ready);
  gst_bus_set_sync_handler(bus_, nullptr, nullptr, nullptr);
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
