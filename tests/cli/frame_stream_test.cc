#include "plugin/cli/media/frame_stream.h"

#include <opencv2/core.hpp>
#include <opencv2/imgcodecs.hpp>

#include "tests/cli/test_files.h"

namespace cliptag {
namespace {

// A picture whose width tells which one it is.
void WritePicture(const std::string& path, int width) {
  ASSERT_TRUE(cv::imwrite(path, cv::Mat(4, width, CV_8UC3, cv::Scalar(1, 2, 3))));
}

class FrameStreamTest : public testing::TestWithParam<int> {};  // decoding threads

TEST_P(FrameStreamTest, KeepsTheOrderOfFilesAndTellsErrorsInTheirPlace) {
  TemporaryFolder folder;
  std::vector<std::string> files;
  for (int i = 0; i < 40; ++i) {
    files.push_back(folder / (std::to_string(i) + ".png"));
    // Some take longer to decode than their neighbours; some are not there.
    if (i % 7 != 3) WritePicture(files.back(), i % 5 == 0 ? 1000 + i : 1 + i);
  }
  FrameStream stream(files, {}, GetParam());
  size_t next = 0;
  while (const auto item = stream.Next()) {
    ASSERT_EQ(item->file, next);
    if (next % 7 == 3) {
      EXPECT_EQ(item->status.code(), StatusCode::kNotFound);
    } else {
      ASSERT_TRUE(item->status.ok()) << item->status.message();
      EXPECT_EQ(item->frame.view.width, static_cast<int>(next % 5 == 0 ? 1000 + next : 1 + next));
    }
    ++next;
  }
  EXPECT_EQ(next, files.size());
  EXPECT_FALSE(stream.Next().has_value());
}

TEST_P(FrameStreamTest, InterleavesPicturesAndVideosInOrder) {
  if (!HaveElements({"vp8enc", "webmmux", "vp8dec"})) GTEST_SKIP() << "VP8 is not installed";
  TemporaryFolder folder;
  MakeVideo(folder / "v.webm", 30);  // more frames than are decoded ahead
  WritePicture(folder / "p.png", 9);
  const std::vector<std::string> files = {folder / "p.png", folder / "v.webm", folder / "p.png",
                                          folder / "v.webm"};
  FrameStream stream(files, {.fps = 0}, GetParam());
  std::vector<size_t> counts(files.size());
  size_t last = 0;
  while (const auto item = stream.Next()) {
    ASSERT_TRUE(item->status.ok()) << item->status.message();
    EXPECT_GE(item->file, last);
    last = item->file;
    ++counts[last];
  }
  EXPECT_EQ(counts, (std::vector<size_t>{1, 30, 1, 30}));
}

TEST_P(FrameStreamTest, StopsWhenNobodyAsksAnyMore) {
  TemporaryFolder folder;
  WritePicture(folder / "p.png", 500);
  const std::vector<std::string> files(200, folder / "p.png");
  for (int taken : {0, 1, 5}) {
    FrameStream stream(files, {}, GetParam());
    for (int i = 0; i < taken; ++i) ASSERT_TRUE(stream.Next().has_value());
  }
}

INSTANTIATE_TEST_SUITE_P(Threads, FrameStreamTest, testing::Values(1, 3));

TEST(FrameStream, OfNoFilesIsAtItsEnd) {
  FrameStream stream({}, {}, 2);
  EXPECT_FALSE(stream.Next().has_value());
}

}  // namespace
}  // namespace cliptag
