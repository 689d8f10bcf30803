// Files of strangers are opened without waiting, and only where they are files.
#include "models/io/input_file.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <thread>

#include "kernels/base/replace_file.h"
#include "models/io/mapped_file.h"
#include "models/tower_identity.h"
#include "models/weights/weights.h"
#include "tests/models/model_test.h"

namespace cliptag {
namespace {

TEST(ReplaceFileTest, WhatLiesInPlaceOfTheTemporaryFileIsNotWrittenTo) {
  const TempDir dir;
  dir.Write("victim", "precious");
  const std::string victim = dir.File("victim"), part = PartOf(dir.File("file"));
  const auto create = [&] {
    const int fd = CreatePart(part);
    ASSERT_GE(fd, 0);
    EXPECT_EQ(write(fd, "text", 4), 4);
    close(fd);
    EXPECT_EQ(ReadAll(part), "text");
    std::filesystem::remove(part);
  };
  std::filesystem::create_symlink(victim, part);
  create();
  std::filesystem::create_hard_link(victim, part);
  create();
  ASSERT_EQ(mkfifo(part.c_str(), 0600), 0);
  create();
  EXPECT_EQ(ReadAll(victim), "precious");
  std::filesystem::create_directory(part);
  EXPECT_EQ(CreatePart(part), -1);
  EXPECT_EQ(errno, EEXIST);
}

TEST(ReplaceFileTest, AReplacementThatFailsDoesNotSayWhatItMade) {
  const TempDir dir;
  struct stat made {};
  const auto replace = [&](const std::string& name) {
    return ReplaceFile(dir.File(name), "text", {.follow_links = false, .made = &made});
  };
  ASSERT_TRUE(replace("file").ok());
  const ino_t first = made.st_ino;
  EXPECT_NE(first, 0u);
  std::filesystem::create_directory(dir.File("folder"));
  EXPECT_FALSE(replace("folder").ok());
  EXPECT_EQ(made.st_ino, first);
}

TEST(InputFileTest, ReadsWhatIsThere) {
  const TempDir dir;
  dir.Write("empty", "");
  dir.Write("text", std::string(200000, 'x') + "end");
  EXPECT_EQ(Must(ReadFile(dir.File("empty"))), "");
  EXPECT_EQ(Must(ReadFile(dir.File("text"))).size(), 200003u);
  const InputFile file = Must(InputFile::Open(dir.File("text")));
  EXPECT_EQ(Must(file.Read(200000, 10)), "end");
  EXPECT_EQ(Must(file.Read(199999, 2)), "xe");
  EXPECT_EQ(Must(file.Read(300000, 2)), "");
  EXPECT_NE(Must(ReadFile("/proc/self/status")).find("VmRSS"), std::string::npos)
      << "these tell no size";
  ExpectError(ReadFile(dir.File("none")), StatusCode::kNotFound, {dir.File("none")});
}

TEST(InputFileTest, WhatIsNoFileIsNotWaitedFor) {
  const TempDir dir;
  ASSERT_EQ(mkfifo(dir.File("pipe").c_str(), 0600), 0);
  ASSERT_EQ(symlink("pipe", dir.File("link").c_str()), 0);
  ASSERT_EQ(symlink("/dev/zero", dir.File("zero").c_str()), 0);
  const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, dir.File("socket").c_str(), sizeof(address.sun_path) - 1);
  ASSERT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  for (const char* name : {"pipe", "link"}) {
    ExpectError(ReadFile(dir.File(name)), StatusCode::kInvalidArgument, {name, "is a pipe"});
    ExpectError(MappedFile::Open(dir.File(name)).status(), StatusCode::kInvalidArgument,
                {name, "is a pipe"});
  }
  ExpectError(ReadFile(dir.File("zero")), StatusCode::kInvalidArgument, {"zero", "is a device"});
  ExpectError(ReadFile(dir.File("socket")), StatusCode::kInvalidArgument, {"is a socket"});
  ExpectError(ReadFile(dir.path()), StatusCode::kInvalidArgument, {"is a directory"});
  close(fd);
}

TEST(InputFileTest, IsBounded) {
  const TempDir dir;
  dir.Write("eleven", "01234567890");
  EXPECT_EQ(Must(ReadFile(dir.File("eleven"), 11)).size(), 11u);
  ExpectError(ReadFile(dir.File("eleven"), 10), StatusCode::kInvalidArgument,
              {"eleven", "larger than the 10 bytes"});
  // A size that is said and not there costs nothing.
  dir.Write("sparse", "");
  std::filesystem::resize_file(dir.File("sparse"), uintmax_t{1} << 40);
  ExpectError(ReadFile(dir.File("sparse")), StatusCode::kInvalidArgument,
              {"sparse", "larger than the 128 MB"});
}

TEST(InputFileTest, TellsThatItWasWrittenTo) {
  const TempDir dir;
  dir.Write("file", "before");
  const InputFile file = Must(InputFile::Open(dir.File("file")));
  EXPECT_TRUE(file.CheckUnchanged().ok());
  const timespec times[2] = {{0, UTIME_OMIT}, {1, 0}};
  ASSERT_EQ(utimensat(AT_FDCWD, dir.File("file").c_str(), times, 0), 0);
  ExpectError(file.CheckUnchanged(), StatusCode::kDataLoss, {"file", "while it was read"});
  dir.Write("file", "larger than before");
  ExpectError(file.CheckUnchanged(), StatusCode::kDataLoss, {"file", "while it was read"});
}

TEST(MappedFileTest, PagesThatTheFileLosesAreZerosAndAnError) {
  const TempDir dir;
  constexpr size_t kPages = 300, kPage = 4096;
  dir.Write("file", std::string(kPages * kPage, 'x'));
  const MappedFile file = Must(MappedFile::Open(dir.File("file")));
  EXPECT_EQ(file.bytes()[5], std::byte{'x'});
  EXPECT_TRUE(file.CheckUnchanged().ok());
  std::filesystem::resize_file(dir.File("file"), 10);
  std::vector<std::thread> threads;
  std::atomic<size_t> zeros = 0;
  for (size_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (size_t i = 1 + t; i < kPages; i += 4) zeros += file.bytes()[i * kPage] == std::byte{0};
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(zeros, kPages - 1);
  ExpectError(file.CheckUnchanged(), StatusCode::kDataLoss, {"file", "while it was read"});
  // The file is as it was, to look at, and what was read of it is not.
  const timespec times[2] = {{0, UTIME_OMIT}, {1, 0}};
  dir.Write("again", std::string(kPages * kPage, 'x'));
  ASSERT_EQ(utimensat(AT_FDCWD, dir.File("again").c_str(), times, 0), 0);
  const MappedFile again = Must(MappedFile::Open(dir.File("again")));
  std::filesystem::resize_file(dir.File("again"), 10);
  EXPECT_EQ(again.bytes()[kPage], std::byte{0});
  std::filesystem::resize_file(dir.File("again"), kPages * kPage);
  ASSERT_EQ(utimensat(AT_FDCWD, dir.File("again").c_str(), times, 0), 0);
  ExpectError(again.CheckUnchanged(), StatusCode::kDataLoss, {"again", "while it was read"});
}

TEST(MappedFileTest, AnotherSigbusEndsTheProcessAsEver) {
  const TempDir dir;
  dir.Write("file", "x");
  const MappedFile file = Must(MappedFile::Open(dir.File("file")));
  EXPECT_DEATH(raise(SIGBUS), "");
}

TEST(MappedFileTest, MoreThanThereArePlacesForAreRefused) {
  const TempDir dir;
  dir.Write("file", "x");
  std::vector<MappedFile> files;
  Status status;
  while (status.ok() && files.size() < 2000) {
    auto file = MappedFile::Open(dir.File("file"));
    status = file.status();
    if (file.ok()) files.push_back(file.Take());
  }
  ExpectError(status, StatusCode::kResourceExhausted, {"file", "too many"});
  files.pop_back();
  EXPECT_TRUE(MappedFile::Open(dir.File("file")).ok());
}

// Whatever is made of weights that somebody writes over is not taken for theirs.
TEST(WeightsTest, WrittenOverWhileTheyAreRead) {
  const TempDir dir;
  dir.CopyFrom(StarterDir());
  const ModelConfig config = Must(ReadModelConfig(dir.path()));
  const auto weights = Must(OpenWeights(config));
  const TextTensors tensors = Must(GetTextTensors(*weights, config));
  EXPECT_TRUE(weights->CheckUnchanged().ok());
  std::filesystem::resize_file(dir.File("model.safetensors"), 0);
  EXPECT_TRUE(TextIdentity(config, tensors).ok());
  ExpectError(weights->CheckUnchanged(), StatusCode::kDataLoss, {"model.safetensors"});
}

}  // namespace
}  // namespace cliptag
