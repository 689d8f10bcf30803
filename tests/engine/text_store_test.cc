// The store of texts on disk: what it keeps, what it survives, what it leaves to others.
#include "models/prompts/text_store.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "kernels/base/log.h"

namespace cliptag {
namespace {

namespace fs = std::filesystem;
constexpr int kDim = 8;
constexpr size_t kHeader = 128, kRecord = 16 + kDim * sizeof(float);  // and the text

class TextStoreTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char pattern[] = "/tmp/cliptag-texts.XXXXXX";
    ASSERT_NE(mkdtemp(pattern), nullptr);
    folder_ = pattern;
    options_.directory = folder_ + "/a/b";
    options_.name = "model-1";
    options_.identity = std::string(64, '7');
    options_.dim = kDim;
    SetLogCallback([this](LogLevel level, const std::string& message) {
      if (level <= LogLevel::kWarning) warnings_.push_back(message);
    });
  }
  void TearDown() override {
    SetLogCallback({});
    fs::remove_all(folder_);
  }

  static std::vector<float> Row(int number) {
    std::vector<float> row(kDim);
    for (int i = 0; i < kDim; ++i) row[i] = static_cast<float>(number) + 0.25f * i;
    return row;
  }
  static std::string Text(int number) { return "text " + std::to_string(number); }
  static void AddNumbers(TextStore& store, int first, int end) {
    for (int i = first; i < end; ++i) store.Add(Text(i), Row(i), i % 2 == 1);
  }
  // How many of the texts are there, each with what belongs to it.
  static int Count(TextStore& store, int first, int end) {
    int count = 0;
    for (int i = first; i < end; ++i) {
      StoredText found;
      if (!store.Find(Text(i), &found)) continue;
      EXPECT_EQ(found.row, Row(i)) << i;
      EXPECT_EQ(found.truncated, i % 2 == 1) << i;
      ++count;
    }
    return count;
  }
  int CountAnew(int first, int end) {
    TextStore store(options_);
    return Count(store, first, end);
  }
  std::string path() const { return options_.directory + "/model-1.texts"; }
  std::string old_path() const { return options_.directory + "/model-1.old.texts"; }
  std::string Content() const {
    std::ifstream file(path(), std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  void Replace(const std::string& content) const {
    std::ofstream(path(), std::ios::binary | std::ios::trunc) << content;
  }

  std::string folder_;
  TextStoreOptions options_;
  std::vector<std::string> warnings_;
};

TEST_F(TextStoreTest, WhatIsSavedIsThereAtTheNextStartAndForItsIdentityAlone) {
  {
    TextStore store(options_);
    EXPECT_FALSE(fs::exists(options_.directory));  // nothing is created before there is something
    AddNumbers(store, 0, 100);
    store.Save();
    store.Add("", Row(7), false);  // written at the end; the empty text is one as any other
  }
  EXPECT_EQ(CountAnew(0, 110), 100);
  struct stat info;
  ASSERT_EQ(stat(path().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  StoredText found;
  EXPECT_TRUE(TextStore(options_).Find("", &found));
  EXPECT_EQ(found.row, Row(7));
  options_.identity[0] = '8';  // the name of the file is the same
  EXPECT_EQ(CountAnew(0, 100), 0);
  EXPECT_TRUE(warnings_.empty()) << warnings_[0];
}

TEST_F(TextStoreTest, ATextIsWrittenOnce) {
  for (int i = 0; i < 3; ++i) {
    TextStore store(options_);
    AddNumbers(store, 0, 10);
  }
  EXPECT_EQ(Content().size(), kHeader + 10 * (kRecord + Text(0).size()));
}

TEST_F(TextStoreTest, AFileCutAnywhereKeepsWhatIsWhole) {
  { AddNumbers(*std::make_unique<TextStore>(options_), 0, 5); }
  const std::string whole = Content();
  const size_t record = kRecord + Text(0).size();
  for (size_t size = 0; size <= whole.size(); size += 7) {
    warnings_.clear();
    Replace(whole.substr(0, size));
    const int left = size < kHeader ? 0 : static_cast<int>((size - kHeader) / record);
    ASSERT_EQ(CountAnew(0, 5), left) << size;
    { AddNumbers(*std::make_unique<TextStore>(options_), 0, 5); }
    ASSERT_EQ(CountAnew(0, 5), 5) << size;
    ASSERT_EQ(Content().size(), whole.size()) << size;
    ASSERT_EQ(warnings_.size(), size > 0 && size < kHeader ? 1u : 0u) << size;
  }
}

TEST_F(TextStoreTest, AFlippedByteIsNeverTakenForARow) {
  { AddNumbers(*std::make_unique<TextStore>(options_), 0, 5); }
  const std::string whole = Content();
  for (size_t at = 0; at < whole.size(); ++at) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x40);
    Replace(damaged);
    ASSERT_LT(CountAnew(0, 5), 5) << at;  // Count checks every row that is found
    { AddNumbers(*std::make_unique<TextStore>(options_), 0, 5); }
    ASSERT_EQ(CountAnew(0, 5), 5) << at;
  }
}

TEST_F(TextStoreTest, RubbishAndForeignFilesAreBegunAnewWithOneWarning) {
  fs::create_directories(options_.directory);
  Replace(std::string(100'000, 'x'));
  {
    TextStore store(options_);
    EXPECT_EQ(Count(store, 0, 5), 0);
    AddNumbers(store, 0, 5);
    store.Save();
    AddNumbers(store, 5, 9);
  }
  EXPECT_EQ(CountAnew(0, 9), 9);
  ASSERT_EQ(warnings_.size(), 1u);
  EXPECT_NE(warnings_[0].find(path()), std::string::npos) << warnings_[0];
}

TEST_F(TextStoreTest, ALinkIsNotFollowed) {
  fs::create_directories(options_.directory);
  const std::string letter = folder_ + "/letter";
  std::ofstream(letter) << "dear";
  fs::create_symlink(letter, path());
  {
    TextStore store(options_);
    AddNumbers(store, 0, 5);
    store.Save();
  }
  std::ifstream file(letter);
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(file), {}), "dear");
  ASSERT_EQ(warnings_.size(), 1u);
  EXPECT_NE(warnings_[0].find(path() + ": it is a symbolic link; remove it"), std::string::npos)
      << warnings_[0];
}

TEST_F(TextStoreTest, AFileOfAnotherUserIsNotBelieved) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can give files away";
  { AddNumbers(*std::make_unique<TextStore>(options_), 0, 5); }
  ASSERT_EQ(chown(path().c_str(), 65534, 65534), 0);
  EXPECT_EQ(CountAnew(0, 5), 0);
  ASSERT_FALSE(warnings_.empty());
  EXPECT_NE(warnings_[0].find("belongs to another user"), std::string::npos) << warnings_[0];
}

TEST_F(TextStoreTest, AFileThatShrinksUnderAReaderIsAMissAndMendedByAWrite) {
  TextStore store(options_);
  AddNumbers(store, 0, 10);
  store.Save();
  ASSERT_EQ(truncate(path().c_str(), kHeader + 20), 0);
  EXPECT_EQ(Count(store, 0, 10), 0);
  AddNumbers(store, 20, 30);
  store.Save();
  EXPECT_EQ(CountAnew(20, 30), 10);
}

TEST_F(TextStoreTest, ADirectoryThatCannotBeIsOneWarning) {
  std::ofstream(folder_ + "/a") << "a file";
  {
    TextStore store(options_);
    for (int i = 0; i < 3; ++i) {
      AddNumbers(store, 0, 5);
      store.Save();
    }
    EXPECT_EQ(Count(store, 0, 5), 0);
  }
  ASSERT_EQ(warnings_.size(), 1u);
  EXPECT_NE(warnings_[0].find(options_.directory), std::string::npos) << warnings_[0];
}

TEST_F(TextStoreTest, AReadOnlyCacheIsReadAndTheRestIsOneWarning) {
  { AddNumbers(*std::make_unique<TextStore>(options_), 0, 5); }
  fs::permissions(path(), fs::perms::owner_read);
  fs::permissions(options_.directory, fs::perms::owner_read | fs::perms::owner_exec);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    if (geteuid() == 0) {  // root may write anywhere
      fs::permissions(folder_, fs::perms::all);
      fs::permissions(folder_ + "/a", fs::perms::all);
      fs::permissions(options_.directory, fs::perms::others_read | fs::perms::others_exec);
      fs::permissions(path(), fs::perms::others_read);
      if (setgid(65534) != 0 || setuid(65534) != 0) _exit(77);
    }
    int found = 0;
    {
      TextStore store(options_);
      found = Count(store, 0, 5);
      AddNumbers(store, 5, 9);
      store.Save();
      AddNumbers(store, 5, 9);
    }
    _exit(found == 5 && warnings_.size() == 1 ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  fs::permissions(options_.directory, fs::perms::owner_all);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 77) GTEST_SKIP() << "cannot become nobody";
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
}

TEST_F(TextStoreTest, AFullDiskLeavesWhatWasThereAndOneWarning) {
  {
    TextStore store(options_);
    AddNumbers(store, 0, 10);
    store.Save();
    // A file may not grow beyond the middle of what comes next.
    rlimit before;
    ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
    rlimit limit = before;
    limit.rlim_cur = Content().size() + 5 * kRecord;
    const auto handler = std::signal(SIGXFSZ, SIG_IGN);
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
    AddNumbers(store, 10, 30);
    store.Save();
    AddNumbers(store, 30, 40);
    store.Save();
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
    std::signal(SIGXFSZ, handler);
    EXPECT_EQ(Count(store, 0, 40), 10);
  }
  EXPECT_EQ(Content().size(), kHeader + 10 * (kRecord + Text(0).size()));
  EXPECT_EQ(CountAnew(0, 40), 10);
  ASSERT_EQ(warnings_.size(), 1u);
  EXPECT_NE(warnings_[0].find("File too large"), std::string::npos) << warnings_[0];
}

TEST_F(TextStoreTest, FilesStayBoundedTheOldestGoesAndWhatIsUsedStays) {
  options_.max_file_bytes = kHeader + 10 * (kRecord + 8);
  for (int round = 0; round < 20; ++round) {
    TextStore store(options_);
    AddNumbers(store, 1000 + 7 * round, 1000 + 7 * round + 7);
    StoredText found;
    if (!store.Find("in use", &found)) {
      EXPECT_EQ(round, 0);
      store.Add("in use", Row(1), false);
    }
  }
  EXPECT_LE(fs::file_size(path()), options_.max_file_bytes);
  EXPECT_LE(fs::file_size(old_path()), options_.max_file_bytes);
  EXPECT_EQ(CountAnew(1000, 1070), 0);
  EXPECT_GE(CountAnew(1133, 1140), 7);  // of the last round
  StoredText found;
  EXPECT_TRUE(TextStore(options_).Find("in use", &found));
  EXPECT_TRUE(warnings_.empty()) << warnings_[0];
}

TEST_F(TextStoreTest, ManyAtOnceFillSeveralFiles) {
  options_.max_file_bytes = kHeader + 10 * (kRecord + 8);
  {
    TextStore store(options_);
    AddNumbers(store, 100, 137);
    store.Save();
    EXPECT_GE(Count(store, 100, 137), 10);
  }
  EXPECT_EQ(CountAnew(130, 137), 7);
}

TEST_F(TextStoreTest, TheDirectoryStaysBoundedAndOnlyOurFilesGo) {
  options_.max_file_bytes = 1000;
  options_.max_directory_bytes = 3000;
  fs::create_directories(options_.directory);
  std::ofstream(options_.directory + "/mine.txt") << std::string(5000, 'x');
  for (int model = 0; model < 12; ++model) {
    options_.name = "model-" + std::to_string(model);
    TextStore store(options_);
    AddNumbers(store, 0, 15);
    usleep(20'000);  // the times of files differ
  }
  uint64_t total = 0;
  for (const auto& entry : fs::directory_iterator(options_.directory)) {
    if (entry.path().extension() == ".texts") total += entry.file_size();
  }
  EXPECT_LE(total, 3000u);
  EXPECT_TRUE(fs::exists(options_.directory + "/mine.txt"));
  EXPECT_EQ(CountAnew(0, 15), 15);  // of the last model
}

TEST_F(TextStoreTest, AFileThatIsDeletedUnderAStoreIsMadeAnew) {
  TextStore store(options_);
  AddNumbers(store, 0, 5);
  store.Save();
  fs::remove_all(options_.directory);
  EXPECT_EQ(Count(store, 0, 5), 5);  // still open
  AddNumbers(store, 5, 9);
  store.Save();  // the directory is gone, too: that is told, and nothing else happens
  EXPECT_LE(warnings_.size(), 1u);
}

TEST_F(TextStoreTest, WhileAnotherWritesASaveDoesNotWait) {
  TextStore store(options_);
  AddNumbers(store, 0, 5);
  store.Save();
  const int fd = open(path().c_str(), O_RDWR);
  ASSERT_EQ(flock(fd, LOCK_EX), 0);
  AddNumbers(store, 5, 9);
  store.Save();
  EXPECT_EQ(CountAnew(0, 9), 5);
  close(fd);
  store.Save();
  EXPECT_EQ(CountAnew(0, 9), 9);
  EXPECT_TRUE(warnings_.empty()) << warnings_[0];
}

TEST_F(TextStoreTest, ManyProcessesWriteOneFile) {
  constexpr int kProcesses = 6, kEach = 200;
  std::vector<pid_t> children;
  for (int p = 0; p < kProcesses; ++p) {
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      {
        TextStore store(options_);
        for (int i = 0; i < kEach; ++i) {
          const int number = 100'000 + (p / 2 * kEach) + i;  // two write the same
          AddNumbers(store, number, number + 1);
          store.Save();
        }
      }
      _exit(warnings_.empty() ? 0 : 1);
    }
    children.push_back(child);
  }
  for (const pid_t child : children) {
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  }
  constexpr int kTexts = kProcesses / 2 * kEach;
  EXPECT_EQ(CountAnew(100'000, 100'000 + kTexts), kTexts);
  EXPECT_EQ(Content().size(), kHeader + kTexts * (kRecord + Text(100'000).size()));
}

TEST_F(TextStoreTest, ManyProcessesTurnFilesOver) {
  options_.max_file_bytes = 4000;
  std::vector<pid_t> children;
  for (int p = 0; p < 4; ++p) {
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      {
        TextStore store(options_);
        for (int i = 0; i < 400; ++i) {
          AddNumbers(store, 10'000 * (p + 1) + i, 10'000 * (p + 1) + i + 1);
          store.Save();
          (void)Count(store, 10'000, 10'040);
        }
      }
      _exit(warnings_.empty() && !HasFailure() ? 0 : 1);
    }
    children.push_back(child);
  }
  for (const pid_t child : children) {
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  }
  EXPECT_LE(fs::file_size(path()), 4000u);
  EXPECT_LE(fs::file_size(old_path()), 4000u);
}

TEST_F(TextStoreTest, TheUsersStoreLiesWhereTheVariablesSay) {
  const std::string identity(64, 'a');
  setenv("CLIPTAG_TEXT_CACHE", "", 1);
  EXPECT_EQ(OpenUserTextStore("m", identity, kDim), nullptr);
  setenv("CLIPTAG_TEXT_CACHE", (folder_ + "/own").c_str(), 1);
  OpenUserTextStore("../x y", identity, kDim)->Add("a", Row(1), false);
  EXPECT_TRUE(fs::exists(folder_ + "/own/___x_y-aaaaaaaaaaaa.texts"));
  unsetenv("CLIPTAG_TEXT_CACHE");
  const char* before = getenv("XDG_CACHE_HOME");
  const std::string kept = before == nullptr ? "" : before;
  setenv("XDG_CACHE_HOME", folder_.c_str(), 1);
  OpenUserTextStore("m", identity, kDim)->Add("a", Row(1), false);
  EXPECT_TRUE(fs::exists(folder_ + "/cliptag/texts/m-aaaaaaaaaaaa.texts"));
  setenv("XDG_CACHE_HOME", kept.c_str(), 1);
  setenv("CLIPTAG_TEXT_CACHE", "", 1);
}

}  // namespace
}  // namespace cliptag
