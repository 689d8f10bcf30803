#include "plugin/cli/formats/npy.h"

#include <cstring>

#include "tests/cli/test_files.h"

namespace cliptag {
namespace {

TEST(NpyHeader, IsVersionOneAndAlwaysAsLong) {
  const std::string header = NpyHeader(3, 192);
  ASSERT_EQ(header.size(), 128u);
  EXPECT_EQ(header.substr(0, 8), std::string("\x93NUMPY\x01\x00", 8));
  EXPECT_EQ(static_cast<unsigned char>(header[8]) + 256 * static_cast<unsigned char>(header[9]),
            118);
  EXPECT_EQ(header.back(), '\n');
  EXPECT_NE(header.find("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 192), }"),
            std::string::npos);
  EXPECT_EQ(NpyHeader(INT64_MAX, INT64_MAX).size(), 128u);
}

TEST(NpyWriter, WritesRowsAndCountsThem) {
  TemporaryFolder folder;
  const std::string path = folder / "a.npy";
  auto writer = NpyWriter::Create(path);
  ASSERT_TRUE(writer.ok()) << writer.status().message();
  const float rows[2][3] = {{1, 2, 3}, {-4, 0.5f, 6}};
  for (const auto& row : rows) ASSERT_TRUE((*writer)->Append(row).ok());
  EXPECT_FALSE(std::filesystem::exists(path)) << "the name is there before the file is whole";
  ASSERT_TRUE((*writer)->Finish().ok());
  const std::vector<char> bytes = ReadBytes(path);
  ASSERT_EQ(bytes.size(), 128 + sizeof(rows));
  EXPECT_EQ(std::string(bytes.data(), 128), NpyHeader(2, 3));
  EXPECT_EQ(std::memcmp(bytes.data() + 128, rows, sizeof(rows)), 0);
  EXPECT_EQ(folder.files(), 1u) << "a temporary file was left";
}

TEST(NpyWriter, LeavesNothingUnlessFinished) {
  TemporaryFolder folder;
  WriteBytes(folder / "old.npy", {'o', 'l', 'd'});
  for (const char* name : {"new.npy", "old.npy"}) {
    auto writer = NpyWriter::Create(folder / name);
    ASSERT_TRUE(writer.ok());
    ASSERT_TRUE((*writer)->Append(std::vector<float>(1000, 1.0f)).ok());
  }
  EXPECT_EQ(folder.files(), 1u);
  EXPECT_EQ(ReadBytes(folder / "old.npy"), (std::vector<char>{'o', 'l', 'd'}));
}

TEST(NpyWriter, RefusesRowsOfAnotherLength) {
  TemporaryFolder folder;
  auto writer = NpyWriter::Create(folder / "a.npy");
  ASSERT_TRUE(writer.ok());
  ASSERT_TRUE((*writer)->Append(std::vector<float>(4)).ok());
  EXPECT_FALSE((*writer)->Append(std::vector<float>(3)).ok());
}

TEST(NpyWriter, FollowsALink) {
  TemporaryFolder folder;
  WriteBytes(folder / "target.npy", {'x'});
  std::filesystem::create_symlink(folder / "target.npy", folder / "link.npy");
  auto writer = NpyWriter::Create(folder / "link.npy");
  ASSERT_TRUE(writer.ok());
  ASSERT_TRUE((*writer)->Append(std::vector<float>(4)).ok());
  ASSERT_TRUE((*writer)->Finish().ok());
  EXPECT_TRUE(std::filesystem::is_symlink(folder / "link.npy"));
  EXPECT_EQ(ReadBytes(folder / "target.npy").size(), 128u + 16u);
}

TEST(NpyWriter, SaysWhereItCannotWrite) {
  TemporaryFolder folder;
  for (const std::string& path : {folder / "", folder / "no/such/folder/a.npy"}) {
    const auto writer = NpyWriter::Create(path);
    ASSERT_FALSE(writer.ok()) << path;
    EXPECT_NE(writer.status().message().find("'" + path + "'"), std::string::npos)
        << writer.status().message();
  }
}

// A device that takes nothing must stay a device, and say so.
TEST(NpyWriter, FailsOnAFullDevice) {
  if (!std::filesystem::is_character_file("/dev/full"))
    GTEST_SKIP() << "there is no /dev/full here";
  auto writer = NpyWriter::Create("/dev/full");
  ASSERT_TRUE(writer.ok()) << writer.status().message();
  ASSERT_TRUE((*writer)->Append(std::vector<float>(192)).ok());
  const Status status = (*writer)->Finish();
  ASSERT_FALSE(status.ok());
  EXPECT_NE(status.message().find("No space left"), std::string::npos) << status.message();
  EXPECT_TRUE(std::filesystem::is_character_file("/dev/full"));
}

}  // namespace
}  // namespace cliptag
