#include "plugin/cli/media/media_reader.h"

#include <sys/stat.h>

#include <algorithm>
#include <cmath>
#include <opencv2/core.hpp>
#include <opencv2/imgcodecs.hpp>

#include "plugin/cli/diagnostics.h"
#include "plugin/gst/pictures/check.h"
#include "tests/cli/test_files.h"

namespace cliptag {
namespace {

// Every frame's time, and how it ended.
struct Read {
  std::vector<std::optional<double>> times;
  std::vector<MediaFrame> frames;
  Status status;
};

Read ReadAll(const std::string& path, double fps = 1) {
  Read read;
  auto reader = OpenMedia(path, {.fps = fps, .stall_s = 2});
  if (!reader.ok()) {
    read.status = reader.status();
    return read;
  }
  for (;;) {
    auto frame = (*reader)->Next();
    if (!frame.ok()) read.status = frame.status();
    if (!frame.ok() || !frame->has_value()) return read;
    read.times.push_back((*frame)->time_s);
    read.frames.push_back(std::move(**frame));
  }
}

uint8_t Sample(const FrameView& view, int component, int x, int y) {
  const Component& c = view.component[component];
  return c.data[y * c.row_stride + x * c.pixel_stride];
}

// A picture whose pixels are all different; channels in OpenCV's order.
cv::Mat Picture(int width, int height, int type) {
  cv::Mat picture(height, width, type);
  for (int y = 0; y < height; ++y) {
    for (size_t x = 0; x < picture.step[0]; ++x) {
      picture.ptr(y)[x] = static_cast<uchar>(7 * x + 31 * static_cast<size_t>(y));
    }
  }
  return picture;
}

class MediaTest : public testing::Test {
 protected:
  void Write(const std::string& name, const cv::Mat& picture) {
    ASSERT_TRUE(cv::imwrite(folder_ / name, picture)) << name;
  }
  void ExpectError(const std::string& path, StatusCode code, const std::string& part) {
    const Read read = ReadAll(path);
    EXPECT_EQ(read.status.code(), code) << path;
    EXPECT_NE(read.status.message().find(part), std::string::npos) << read.status.message();
    EXPECT_NE(read.status.message().find(path), std::string::npos) << read.status.message();
  }
  TemporaryFolder folder_;
};

using PictureReaderTest = MediaTest;
using VideoReaderTest = MediaTest;

TEST_F(PictureReaderTest, GivesRgbOnceAndWithoutATime) {
  const cv::Mat picture = Picture(13, 5, CV_8UC3);
  Write("a.png", picture);
  const Read read = ReadAll(folder_ / "a.png");
  ASSERT_TRUE(read.status.ok()) << read.status.message();
  ASSERT_EQ(read.frames.size(), 1u);
  EXPECT_FALSE(read.times[0].has_value());
  const FrameView& view = read.frames[0].view;
  ASSERT_EQ(view.width, 13);
  ASSERT_EQ(view.height, 5);
  EXPECT_EQ(view.orientation, Orientation::kRotate0);
  for (int y = 0; y < 5; ++y) {
    for (int x = 0; x < 13; ++x) {
      for (int c = 0; c < 3; ++c) {
        EXPECT_EQ(Sample(view, c, x, y), picture.at<cv::Vec3b>(y, x)[2 - c]) << x << " " << y;
      }
    }
  }
}

TEST_F(PictureReaderTest, DropsAlphaWithoutBlending) {
  cv::Mat picture(2, 2, CV_8UC4, cv::Scalar(10, 20, 30, 0));  // B, G, R, transparent
  Write("a.png", picture);
  const Read read = ReadAll(folder_ / "a.png");
  ASSERT_EQ(read.frames.size(), 1u) << read.status.message();
  EXPECT_EQ(Sample(read.frames[0].view, 0, 1, 1), 30);
  EXPECT_EQ(Sample(read.frames[0].view, 2, 1, 1), 10);
}

TEST_F(PictureReaderTest, ExpandsGreyAndKeepsTheHighByteOfDeepPictures) {
  Write("grey.png", cv::Mat(2, 3, CV_8UC1, cv::Scalar(77)));
  Write("deep.png", cv::Mat(2, 3, CV_16UC1, cv::Scalar(0x4dff)));
  Write("deep3.png", cv::Mat(2, 3, CV_16UC3, cv::Scalar(0x4d01, 0x4d80, 0x4dff)));
  for (const char* name : {"grey.png", "deep.png", "deep3.png"}) {
    const Read read = ReadAll(folder_ / name);
    ASSERT_EQ(read.frames.size(), 1u) << read.status.message();
    for (int c = 0; c < 3; ++c) EXPECT_EQ(Sample(read.frames[0].view, c, 2, 1), 77) << name;
  }
}

// PIL gives the pixels as the file stores them; so do we.
TEST_F(PictureReaderTest, IgnoresTheOrientationInExif) {
  Write("plain.jpg", Picture(40, 24, CV_8UC3));
  std::vector<char> bytes = ReadBytes(folder_ / "plain.jpg");
  // An APP1 segment with a big-endian TIFF directory of one entry: Orientation (0x112) = 6.
  const std::string exif(
      "\xff\xe1\x00\x22"
      "Exif\0\0"
      "MM\0\x2a\0\0\0\x08\0\x01"
      "\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0",
      36);
  bytes.insert(bytes.begin() + 2, exif.begin(), exif.end());
  WriteBytes(folder_ / "turned.jpg", bytes);
  ASSERT_EQ(cv::imread(folder_ / "turned.jpg").cols, 24) << "the test's EXIF segment does not work";
  const Read read = ReadAll(folder_ / "turned.jpg");
  ASSERT_EQ(read.frames.size(), 1u) << read.status.message();
  EXPECT_EQ(read.frames[0].view.width, 40);
}

TEST_F(PictureReaderTest, RefusesEveryTruncatedKind) {
  const cv::Mat picture = Picture(64, 48, CV_8UC3);
  for (const char* name : {"a.jpg", "a.png", "a.webp", "a.bmp", "a.tiff", "a.ppm"}) {
    Write(name, picture);
    EXPECT_EQ(ReadAll(folder_ / name).frames.size(), 1u) << name;
    std::vector<char> bytes = ReadBytes(folder_ / name);
    bytes.resize(bytes.size() * 2 / 3);
    const std::string cut = folder_ / (std::string("cut-") + name);
    WriteBytes(cut, bytes);
    ExpectError(cut, StatusCode::kDataLoss, "the picture '");
  }
}

TEST(PictureIsComplete, IsNotFooledByAThumbnail) {
  // An APP1 segment that holds a whole JPEG (its end marker included), then nothing.
  std::vector<uint8_t> bytes = {0xff, 0xd8, 0xff, 0xe1, 0, 6, 0xff, 0xd8, 0xff, 0xd9};
  EXPECT_FALSE(PictureIsComplete(bytes));
  bytes.insert(bytes.end(), {0xff, 0xda, 0, 2, 0x12, 0xff, 0x00, 0xff, 0xd0, 0x34, 0xff, 0xff});
  EXPECT_FALSE(PictureIsComplete(bytes));
  bytes.push_back(0xd9);
  EXPECT_TRUE(PictureIsComplete(bytes));
}

TEST(PictureIsComplete, EndsOnHostileLengths) {
  std::vector<uint8_t> png = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
  png.insert(png.end(), {0xff, 0xff, 0xff, 0xff, 'I', 'D', 'A', 'T', 0, 0, 0, 0});
  EXPECT_FALSE(PictureIsComplete(png));
  for (size_t n = 8; n < png.size(); ++n) {
    EXPECT_FALSE(PictureIsComplete(std::span(png).first(n))) << n;
  }
  const std::vector<uint8_t> zero_segment = {0xff, 0xd8, 0xff, 0xe0, 0, 0, 0xff, 0xe0, 0, 0};
  EXPECT_FALSE(PictureIsComplete(zero_segment));
}

TEST_F(MediaTest, SaysWhatIsWrongWithAFile) {
  ExpectError(folder_ / "nothing.png", StatusCode::kNotFound, "No such file");
  std::filesystem::create_directory(folder_ / "folder");
  ExpectError(folder_ / "folder", StatusCode::kInvalidArgument, "is a directory");
  WriteBytes(folder_ / "empty.jpg", {});
  ExpectError(folder_ / "empty.jpg", StatusCode::kDataLoss, "is empty");
  ASSERT_EQ(mkfifo((folder_ / "pipe.jpg").c_str(), 0600), 0);
  ExpectError(folder_ / "pipe.jpg", StatusCode::kInvalidArgument, "not a regular file");
  WriteBytes(folder_ / "text.jpg", {'h', 'e', 'l', 'l', 'o', '\n'});
  const Read read = ReadAll(folder_ / "text.jpg");
  EXPECT_FALSE(read.status.ok());
  EXPECT_NE(read.status.message().find("text.jpg"), std::string::npos) << read.status.message();
}

// Nothing that they name is fetched: the ports would refuse, which would be told.
TEST_F(VideoReaderTest, RefusesFilesThatNameOthers) {
  const std::pair<std::string, std::string> playlists[] = {
      {"#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://127.0.0.1:1/a.ts\n"
       "#EXT-X-ENDLIST\n",
       "an HLS playlist"},
      {"<?xml version=\"1.0\"?><MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" "
       "type=\"static\"><BaseURL>"
       "http://127.0.0.1:1/</BaseURL></MPD>",
       "a DASH manifest"},
      {"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 1 RTP/AVP 96\n",
       "SDP"},
      {"http://127.0.0.1:1/a.mp4\nhttp://127.0.0.1:1/b.mp4\n", "a list of addresses"}};
  for (const auto& [text, what] : playlists) {
    for (const char* name : {"a.jpg", "a.mp4"}) {
      WriteBytes(folder_ / name, {text.begin(), text.end()});
      ExpectError(folder_ / name, StatusCode::kUnsupported, what);
    }
  }
}

// Whatever decoder GStreamer has for them: as a picture it is refused, too.
TEST_F(VideoReaderTest, DrawingsAreNotDecoded) {
  for (const size_t comment : {0, 400}) {
    const std::string text = "<?xml version=\"1.0\"?><!--" + std::string(comment, 'x') +
                             "--><svg xmlns=\"http://www.w3.org/2000/svg\" width=\"9\" "
                             "height=\"9\"><rect width=\"9\" height=\"9\"/></svg>";
    WriteBytes(folder_ / "a.jpg", {text.begin(), text.end()});
    ExpectError(folder_ / "a.jpg", StatusCode::kUnsupported,
                comment == 0 ? "is SVG" : "no picture and no video");
  }
}

TEST_F(VideoReaderTest, SamplesAtTheRateAskedFor) {
  if (!HaveElements({"vp8enc", "webmmux", "vp8dec"})) GTEST_SKIP() << "VP8 is not installed";
  const std::string path = folder_ / "a.jpg";  // the content decides, not the name
  MakeVideo(path, 35);
  for (const auto& [fps, count] :
       {std::pair{1.0, 4}, {2.0, 7}, {0.5, 2}, {3.0, 11}, {0.0, 35}, {1000.0, 35}}) {
    const Read read = ReadAll(path, fps);
    ASSERT_TRUE(read.status.ok()) << read.status.message();
    ASSERT_EQ(read.times.size(), static_cast<size_t>(count)) << fps;
    for (size_t i = 0; i < read.times.size(); ++i) {
      ASSERT_TRUE(read.times[i].has_value());
      // The frame, of ten per second, nearest to i / fps.
      const double rate = fps == 0 || fps > 10 ? 10 : fps;
      const double expected = std::round(static_cast<double>(i) / rate * 10) / 10;
      EXPECT_NEAR(*read.times[i], expected, 2e-3) << fps << " " << i;
    }
  }
  const FrameView view = ReadAll(path).frames[0].view;
  EXPECT_EQ(view.kind, PixelKind::kYuv);
  EXPECT_EQ(view.width, 64);
  EXPECT_EQ(view.height, 48);
  EXPECT_EQ(view.chroma_shift_x, 1);
}

// A camera's timestamps are never exact: the frames that are 1 ms or 20 ms early count, too.
TEST_F(VideoReaderTest, AtTheVideosOwnRateEveryFrameIsTaken) {
  if (!HaveElements({"jpegenc", "matroskamux", "matroskademux", "jpegdec"})) {
    GTEST_SKIP() << "Motion JPEG in Matroska is not installed";
  }
  const std::string path = folder_ / "a.mkv";
  GstElement* pipeline = gst_parse_launch(
      ("appsrc name=source format=time caps=video/x-raw,format=I420,width=16,height=16,"
       "framerate=1/1 ! jpegenc ! matroskamux ! filesink location=\"" +
       path + "\"")
          .c_str(),
      nullptr);
  GstElement* source = gst_bin_get_by_name(GST_BIN(pipeline), "source");
  gst_element_set_state(pipeline, GST_STATE_PLAYING);
  const std::vector<guint64> times_ms = {0, 980, 2000, 2985, 3999, 5010, 5990};
  for (const guint64 ms : times_ms) {
    GstBuffer* buffer = gst_buffer_new_allocate(nullptr, 16 * 16 * 3 / 2, nullptr);
    gst_buffer_memset(buffer, 0, 128, 16 * 16 * 3 / 2);
    GST_BUFFER_PTS(buffer) = ms * GST_MSECOND;
    GstFlowReturn flow = GST_FLOW_OK;
    g_signal_emit_by_name(source, "push-buffer", buffer, &flow);
    gst_buffer_unref(buffer);
  }
  GstFlowReturn flow = GST_FLOW_OK;
  g_signal_emit_by_name(source, "end-of-stream", &flow);
  GstBus* bus = gst_element_get_bus(pipeline);
  gst_message_unref(gst_bus_timed_pop_filtered(bus, GST_CLOCK_TIME_NONE, GST_MESSAGE_EOS));
  gst_element_set_state(pipeline, GST_STATE_NULL);
  for (gpointer object : {gpointer{source}, gpointer{bus}, gpointer{pipeline}}) {
    gst_object_unref(object);
  }
  const Read read = ReadAll(path, 1);
  ASSERT_TRUE(read.status.ok()) << read.status.message();
  ASSERT_EQ(read.times.size(), times_ms.size());
  for (size_t i = 0; i < times_ms.size(); ++i) {
    EXPECT_NEAR(*read.times[i], static_cast<double>(times_ms[i]) / 1000, 2e-3) << i;
  }
}

TEST_F(VideoReaderTest, FramesOutliveTheReaderAndHoldThePicture) {
  if (!HaveElements({"vp8enc", "webmmux", "vp8dec"})) GTEST_SKIP() << "VP8 is not installed";
  const std::string path = folder_ / "red.webm";
  RunPipeline(
      "videotestsrc num-buffers=3 pattern=red ! video/x-raw,format=I420,width=64,height=48,"
      "framerate=10/1,colorimetry=bt601 ! vp8enc ! webmmux ! filesink location=\"" +
      path + "\"");
  const Read read = ReadAll(path, 0);
  ASSERT_EQ(read.frames.size(), 3u) << read.status.message();
  for (const MediaFrame& frame : read.frames) {
    EXPECT_NEAR(Sample(frame.view, 0, 32, 24), 81, 4);  // Y, U, V of red in BT.601
    EXPECT_NEAR(Sample(frame.view, 1, 16, 12), 90, 4);
    EXPECT_NEAR(Sample(frame.view, 2, 16, 12), 240, 4);
    EXPECT_FALSE(frame.view.full_range);
  }
}

TEST_F(VideoReaderTest, KeepsTheShapeOfPixels) {
  if (!HaveElements({"vp8enc", "matroskamux", "vp8dec"})) GTEST_SKIP() << "VP8 is not installed";
  const std::string path = folder_ / "a.mkv";
  RunPipeline(
      "videotestsrc num-buffers=3 ! video/x-raw,width=64,height=48,framerate=10/1,"
      "pixel-aspect-ratio=2/1 ! vp8enc ! matroskamux ! filesink location=\"" +
      path + "\"");
  const Read read = ReadAll(path);
  ASSERT_EQ(read.frames.size(), 1u) << read.status.message();
  EXPECT_EQ(read.frames[0].view.width, 64);
  EXPECT_EQ(read.frames[0].view.pixel, (PixelAspect{2, 1}));
}

// A phone held upright: the track's matrix turns the picture by 90 degrees.
TEST_F(VideoReaderTest, RespectsTheOrientationTag) {
  if (!HaveElements({"jpegenc", "qtmux", "qtdemux", "jpegdec"})) {
    GTEST_SKIP() << "Motion JPEG in MP4 is not installed";
  }
  const std::string path = folder_ / "a.mov";
  RunPipeline(
      "videotestsrc num-buffers=3 ! video/x-raw,width=64,height=48,framerate=10/1 ! jpegenc ! "
      "qtmux ! "
      "filesink location=\"" +
      path + "\"");
  EXPECT_EQ(ReadAll(path).frames.at(0).view.orientation, Orientation::kRotate0);
  std::vector<char> bytes = ReadBytes(path);
  constexpr char kTrackHeader[] = "tkhd";
  const auto header = std::search(bytes.begin(), bytes.end(), kTrackHeader, kTrackHeader + 4);
  ASSERT_NE(header, bytes.end());
  // {a, b, u, c, d, v, x, y, w}, 16.16 and 2.30: from the identity to a quarter turn clockwise.
  const std::string turn(
      "\0\0\0\0"
      "\0\1\0\0"
      "\0\0\0\0"
      "\xff\xff\0\0"
      "\0\0\0\0",
      20);
  constexpr ptrdiff_t kMatrix = 44;  // after "tkhd"
  std::copy(turn.begin(), turn.end(), header + kMatrix);
  WriteBytes(path, bytes);
  const Read read = ReadAll(path);
  ASSERT_EQ(read.frames.size(), 1u) << read.status.message();
  EXPECT_EQ(read.frames[0].view.orientation, Orientation::kRotate90);
}

TEST_F(VideoReaderTest, LeavesSoundAlone) {
  if (!HaveElements({"vp8enc", "matroskamux", "vp8dec", "vorbisenc"})) {
    GTEST_SKIP() << "VP8 or Vorbis is not installed";
  }
  const std::string path = folder_ / "a.mkv";
  RunPipeline("matroskamux name=m ! filesink location=\"" + path +
              "\" audiotestsrc num-buffers=200 ! audioconvert ! vorbisenc ! m. "
              "videotestsrc num-buffers=20 ! video/x-raw,framerate=10/1 ! vp8enc ! m.");
  const Read read = ReadAll(path, 1);
  EXPECT_TRUE(read.status.ok()) << read.status.message();
  EXPECT_EQ(read.frames.size(), 2u);
}

TEST_F(VideoReaderTest, SaysThatSoundAloneIsNoVideo) {
  if (!HaveElements({"wavenc", "wavparse"})) GTEST_SKIP() << "WAV is not installed";
  const std::string path = folder_ / "a.wav";
  RunPipeline("audiotestsrc num-buffers=20 ! wavenc ! filesink location=\"" + path + "\"");
  ExpectError(path, StatusCode::kUnsupported, "holds no picture and no video");
}

TEST_F(VideoReaderTest, NoticesATruncatedVideo) {
  if (!HaveElements({"vp8enc", "webmmux", "vp8dec"})) GTEST_SKIP() << "VP8 is not installed";
  MakeVideo(folder_ / "a.webm", 60);
  std::vector<char> bytes = ReadBytes(folder_ / "a.webm");
  bytes.resize(bytes.size() / 2);
  WriteBytes(folder_ / "cut.webm", bytes);
  ExpectError(folder_ / "cut.webm", StatusCode::kDataLoss, "truncated");
  EXPECT_GE(ReadAll(folder_ / "cut.webm").frames.size(), 1u);
  bytes.resize(200);
  WriteBytes(folder_ / "stub.webm", bytes);
  ExpectError(folder_ / "stub.webm", StatusCode::kDataLoss, "stub.webm");
}

// Three frames of four seconds each.
TEST_F(VideoReaderTest, ASlideShowIsNotTruncated) {
  if (!HaveElements({"vp8enc", "webmmux", "vp8dec"})) GTEST_SKIP() << "VP8 is not installed";
  const std::string path = folder_ / "slides.webm";
  RunPipeline(
      "videotestsrc num-buffers=3 ! video/x-raw,width=64,height=48,framerate=1/4 ! vp8enc ! "
      "webmmux ! "
      "filesink location=\"" +
      path + "\"");
  const Read read = ReadAll(path);
  EXPECT_TRUE(read.status.ok()) << read.status.message();
  EXPECT_EQ(read.frames.size(), 3u);
}

TEST_F(VideoReaderTest, CanBeLeftInTheMiddle) {
  if (!HaveElements({"vp8enc", "webmmux", "vp8dec"})) GTEST_SKIP() << "VP8 is not installed";
  MakeVideo(folder_ / "a.webm", 50);
  auto reader = OpenMedia(folder_ / "a.webm", {.fps = 0});
  ASSERT_TRUE(reader.ok());
  auto frame = (*reader)->Next();
  ASSERT_TRUE(frame.ok());
  EXPECT_TRUE(frame->has_value());
}

}  // namespace
}  // namespace cliptag
