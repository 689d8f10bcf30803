// Watching files: what is reported, when, and by how many threads.
#include "plugin/elements/cliptag/prompts/file_watch.h"

#include <atomic>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "tests/elements/gst_test.h"
#include "tests/elements/temporary_folder.h"

namespace cliptag::test {
namespace {

int PollingThreads() {
  int threads = 0;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::string name;
    std::getline(std::ifstream(task.path() / "comm"), name);
    threads += name == "cliptag-files" ? 1 : 0;
  }
  return threads;
}

struct Counted {
  explicit Counted(const std::string& path)
      : watch(path, FileWatch::StampOf(path), [this](FileWatch::Change change) {
          ++(change == FileWatch::Change::kContent ? contents : gone);
        }) {}
  std::atomic<int> contents{0}, gone{0};
  FileWatch watch;
};

TEST(FileWatchTest, OneThreadPollsForAllAndEndsWithTheLast) {
  EXPECT_EQ(PollingThreads(), 0);
  const TemporaryFolder folder;
  std::vector<std::unique_ptr<Counted>> watches;
  for (int i = 0; i < 20; ++i)
    watches.push_back(std::make_unique<Counted>(folder / std::to_string(i % 2)));
  EXPECT_TRUE(WaitFor([] { return PollingThreads() == 1; }));
  folder.Write("1", "new");
  for (size_t i = 1; i < watches.size(); i += 2)
    EXPECT_TRUE(WaitFor([&] { return watches[i]->contents == 1; })) << i;
  for (size_t i = 0; i < watches.size(); i += 2) EXPECT_EQ(watches[i]->contents, 0) << i;
  watches.clear();
  EXPECT_EQ(PollingThreads(), 0);
}

TEST(FileWatchTest, ReportsContentAndThatAFileHasGone) {
  const TemporaryFolder folder;
  folder.Write("file", "one");
  Counted counted(folder / "file");
  folder.Write("file", "other");
  ASSERT_TRUE(WaitFor([&] { return counted.contents == 1; }));
  std::filesystem::remove(folder / "file");
  ASSERT_TRUE(WaitFor([&] { return counted.gone == 1; }));
  folder.Write("file", "other");
  ASSERT_TRUE(WaitFor([&] { return counted.contents == 2; })) << "another file of that name";
  EXPECT_EQ(counted.gone, 1);
}

TEST(FileWatchTest, AChangeBeforeTheWatchIsReportedToo) {
  const TemporaryFolder folder;
  folder.Write("file", "one");
  const FileWatch::Stamp seen = FileWatch::StampOf(folder / "file");
  folder.Write("file", "other");
  std::atomic<int> reports{0};
  const FileWatch watch(folder / "file", seen, [&](FileWatch::Change) { ++reports; });
  EXPECT_TRUE(WaitFor([&] { return reports == 1; }));
}

}  // namespace
}  // namespace cliptag::test
