// Exemplar pictures through GStreamer: every kind of file, and what is said about bad ones.
#include "plugin/elements/picture_file.h"

#include <filesystem>

#include "tests/elements/run_pipeline.h"
#include "tests/elements/temporary_folder.h"

namespace cliptag::test {
namespace {

class PictureFileTest : public ::testing::Test {
 protected:
  // A picture of 40 x 24 pixels in one colour.
  std::string Make(const std::string& name, const std::string& encoder) {
    const std::string path = folder_ / name;
    const RunResult run = RunPipeline(
        "videotestsrc num-buffers=1 pattern=solid-color foreground-color=0xffc83c14 ! "
        "video/x-raw,format=RGB,width=40,height=24 ! videoconvert ! " +
        encoder + " ! filesink location=\"" + (folder_ / "made") + "\"");
    EXPECT_TRUE(run.eos) << run.error;
    std::filesystem::rename(folder_ / "made", path);
    return path;
  }
  std::string ErrorOf(const std::string& name) {
    const Result<ExemplarPicture> picture = ReadPictureFile(folder_ / name);
    if (picture.ok()) return "no error";
    EXPECT_NE(picture.status().message().find(name), std::string::npos)
        << picture.status().message();
    return picture.status().message();
  }
  TemporaryFolder folder_;
};

TEST_F(PictureFileTest, ReadsEveryKind) {
  const struct {
    const char *name, *encoder;
    int tolerance;
  } kinds[] = {{"a.png", "pngenc", 0},
               {"a.jpg", "jpegenc quality=100", 4},
               {"a.jpeg", "jpegenc quality=100", 4},
               {"a.webp", "webpenc lossless=true", 2},
               {"a.bmp", "avenc_bmp", 0}};
  for (const auto& kind : kinds) {
    SCOPED_TRACE(kind.name);
    GstElementFactory* factory = gst_element_factory_find(
        std::string(kind.encoder).substr(0, std::string(kind.encoder).find(' ')).c_str());
    if (factory == nullptr) {
      std::printf("%s: this machine has no encoder for it\n", kind.name);
      continue;
    }
    gst_object_unref(factory);
    const Result<ExemplarPicture> picture = ReadPictureFile(Make(kind.name, kind.encoder));
    ASSERT_TRUE(picture.ok()) << picture.status().message();
    EXPECT_EQ(picture->width, 40);
    EXPECT_EQ(picture->height, 24);
    ASSERT_EQ(picture->rgb.size(), 3u * 40 * 24);
    constexpr int kColour[] = {200, 60, 20};
    for (size_t i = 0; i < picture->rgb.size(); ++i) {
      ASSERT_NEAR(picture->rgb[i], kColour[i % 3], kind.tolerance) << i;
    }
  }
}

TEST_F(PictureFileTest, PathsMayHoldAnything) {
  const Result<ExemplarPicture> picture =
      ReadPictureFile(Make("what's ! \" this, 100%.png", "pngenc"));
  EXPECT_TRUE(picture.ok()) << picture.status().message();
}

TEST_F(PictureFileTest, ErrorsNameTheFile) {
  EXPECT_NE(ErrorOf("none.png").find("cannot be decoded"), std::string::npos);
  folder_.Write("empty.png", "");
  EXPECT_NE(ErrorOf("empty.png"), "no error");
  folder_.Write("text.jpg", "This is a text and no picture at all, whatever its name says.\n");
  EXPECT_NE(ErrorOf("text.jpg"), "no error");
  folder_.Write("broken.png",
                std::string("\x89PNG\r\n\x1a\n\0\0\0\rIHDR", 16) + std::string(200, 'x'));
  EXPECT_NE(ErrorOf("broken.png"), "no error");
}

}  // namespace
}  // namespace cliptag::test
