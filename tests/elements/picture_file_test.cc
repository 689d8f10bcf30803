// Pictures for exemplars and for the tool: the same samples as PIL gives, and what is said about
// files that are none.
#include "plugin/gst/pictures/picture_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "plugin/gst/pictures/header.h"
#include "tests/elements/temporary_folder.h"

namespace cliptag::test {
namespace {

std::string DataFolder() { return std::string(std::getenv("CLIPTAG_DATA")) + "/pictures/"; }

std::string BytesOf(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string PackedRgb(const PictureFile& picture) {
  std::string rgb;
  for (int y = 0; y < picture.view.height; ++y) {
    for (int x = 0; x < picture.view.width; ++x) {
      for (const Component& c : picture.view.component) {
        rgb.push_back(static_cast<char>(c.data[y * c.row_stride + x * c.pixel_stride]));
      }
    }
  }
  return rgb;
}

class PictureFileTest : public ::testing::Test {
 protected:
  // All of what is said; the file's name must be in it.
  std::string ErrorOf(const std::string& path) {
    const Result<PictureFile> picture = ReadPictureFile(path);
    if (picture.ok()) return "no error";
    EXPECT_NE(picture.status().message().find(path), std::string::npos)
        << picture.status().message();
    return picture.status().message();
  }
  std::string ErrorOfBytes(const std::string& bytes) {
    folder_.Write("bytes", bytes);
    return ErrorOf(folder_ / "bytes");
  }
  TemporaryFolder folder_;
};

// Made by tests/models/make_pictures.py. CMYK is converted by OpenCV's and libtiff's own sums.
TEST_F(PictureFileTest, SamplesAreThoseOfPil) {
  size_t read = 0;
  for (const auto& entry : std::filesystem::directory_iterator(DataFolder())) {
    const std::string path = entry.path().string();
    if (entry.is_directory() || path.ends_with(".rgb")) continue;
    SCOPED_TRACE(path);
    const Result<PictureFile> picture = ReadPictureFile(path);
    if (!picture.ok()) {
      ADD_FAILURE() << picture.status().message();
      continue;
    }
    const std::string expected = BytesOf(path + ".rgb"), found = PackedRgb(*picture);
    ASSERT_EQ(expected.size(), found.size());
    int worst = 0;
    for (size_t i = 0; i < found.size(); ++i) {
      worst = std::max(worst, std::abs(uint8_t(found[i]) - uint8_t(expected[i])));
    }
    EXPECT_LE(worst, path.find("cmyk") == std::string::npos ? 0 : 2);
    ++read;
  }
  EXPECT_GE(read, 35u);
}

TEST_F(PictureFileTest, ExifDoesNotTurn) {
  const Result<PictureFile> picture = ReadPictureFile(DataFolder() + "turned.jpg");
  ASSERT_TRUE(picture.ok()) << picture.status().message();
  EXPECT_EQ(picture->view.width, 52);
  EXPECT_EQ(picture->view.orientation, Orientation::kRotate0);
}

TEST_F(PictureFileTest, PathsMayHoldAnything) {
  folder_.Write("what's ! \" this, 100%.png", BytesOf(DataFolder() + "bits.png"));
  const auto picture = ReadExemplar(folder_ / "what's ! \" this, 100%.png");
  ASSERT_TRUE(picture.ok()) << picture.status().message();
  EXPECT_EQ(picture->rgb.size(), size_t{3} * 52 * 28);
}

TEST_F(PictureFileTest, OnlyRegularFilesAreRead) {
  EXPECT_NE(ErrorOf(folder_ / "none.png").find("No such file"), std::string::npos);
  EXPECT_NE(ErrorOf(std::filesystem::path(folder_ / "x").parent_path()).find("not a regular file"),
            std::string::npos);
  ASSERT_EQ(mkfifo((folder_ / "pipe.png").c_str(), 0600), 0);
  EXPECT_NE(ErrorOf(folder_ / "pipe.png").find("not a regular file"), std::string::npos);
  EXPECT_NE(ErrorOf("/dev/zero").find("not a regular file"), std::string::npos);
  EXPECT_NE(ErrorOfBytes("").find("is empty"), std::string::npos);
}

TEST_F(PictureFileTest, WhatIsNoPictureIsNotDecoded) {
  using std::string_literals::operator""s;
  for (const std::string& bytes :
       {"A text and no picture at all, whatever its name says.\n"s,
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://127.0.0.1:1/a.ts\n"s,
        "<?xml version=\"1.0\"?><MPD><BaseURL>http://127.0.0.1:1/</BaseURL></MPD>"s,
        "<VRTDataset rasterXSize=\"1\" rasterYSize=\"1\"/>"s, "BM, as some texts begin"s}) {
    EXPECT_NE(ErrorOfBytes(bytes).find("no picture that cliptag knows"), std::string::npos)
        << bytes;
  }
}

TEST_F(PictureFileTest, KindsThatAreNotReadAreNamed) {
  using std::string_literals::operator""s;
  const struct {
    std::string bytes, name;
  } kinds[] = {{"\0\0\0\x1c"
                "ftypheic\0\0\0\0mif1heic"s,
                "HEIC"},
               {"\0\0\0\x1c"
                "ftypavif\0\0\0\0mif1avif"s,
                "AVIF"},
               {"\0\0\0\x1c"
                "ftypmif1\0\0\0\0mif1avif"s,
                "HEIC or AVIF"},
               {"\0\0\0\x0cJXL \r\n\x87\n\0\0\0"s, "JPEG XL"},
               {"GIF89a\1\0\1\0"s, "GIF"},
               {"8BPS\0\1"s, "Photoshop"},
               {"<svg width=\"1\"/>"s, "SVG"},
               {"\xef\xbb\xbf<?xml version=\"1.0\"?>\r\n<!-- drawn -->\r\n<svg/>"s, "SVG"},
               {BytesOf(DataFolder() + "refused/animated.webp"), "animated WebP"}};
  for (const auto& kind : kinds) {
    const std::string error = ErrorOfBytes(kind.bytes + std::string(200, '\0'));
    EXPECT_NE(error.find("' is " + kind.name + ","), std::string::npos) << error;
    EXPECT_NE(error.find("convert it to PNG or JPEG"), std::string::npos) << error;
  }
}

TEST_F(PictureFileTest, EveryHeaderTellsTheSizeThatIsDecoded) {
  for (const auto& entry : std::filesystem::directory_iterator(DataFolder())) {
    if (entry.is_directory() || entry.path().extension() == ".rgb") continue;
    const std::string bytes = BytesOf(entry.path());
    const std::span<const uint8_t> span(reinterpret_cast<const uint8_t*>(bytes.data()),
                                        bytes.size());
    const PictureKind kind = KindOfPicture(span.first(std::min(span.size(), kPictureMagicBytes)));
    EXPECT_EQ(kind.use, PictureKind::kRead) << entry.path();
    const PictureSize size = SizeOfPicture(kind.name, span);
    EXPECT_EQ(size.width, 52u) << entry.path();
    EXPECT_EQ(size.height, 28u) << entry.path();
    // Cut anywhere, it is never read beyond its end and never a picture of another size.
    for (size_t n = 0; n < std::min<size_t>(bytes.size(), 700); ++n) {
      const PictureSize cut = SizeOfPicture(kind.name, span.first(n));
      EXPECT_LE(cut.width, uint64_t{1} << 32) << n;
    }
  }
}

// Some bytes that stand for a picture of gigabytes: told from the header, before any decoder.
TEST_F(PictureFileTest, BombsAreRefusedByTheirHeaders) {
  using std::string_literals::operator""s;
  const struct {
    const char* name;
    std::string after;  // where to look from
    size_t at;          // from there on
    std::string sides;
  } bombs[] = {{"bits.png", "", 16, "\0\0\x9c\x40\0\0\x9c\x40"s},
               {"rgb.bmp", "", 18, "\x40\x9c\0\0\x40\x9c\0\0"s},
               {"rgb.jpg", "\xff\xc0", 5, "\xff\xff\xff\xff"},
               {"progressive.jpg", "\xff\xc2", 5, "\xff\xff\xff\xff"},
               {"rgb.webp", "", 26, "\xff\x3f\xff\x3f"},
               {"rgba-big-endian.tif", "\1\0\0\3"s, 8, "\x9c\x40\0\0\1\1\0\3\0\0\0\1\x9c\x40"s},
               {"rgb.j2k", "\xff\x4f\xff\x51", 8, "\0\0\x9c\x40\0\0\x9c\x40"s},
               {"3x255.p6", "", 3, "\n99999 99999\n255\n"},
               {"bits.p1", "", 3, "99999 99999\n"}};
  for (const auto& bomb : bombs) {
    std::string bytes = BytesOf(DataFolder() + bomb.name);
    const size_t start = bytes.find(bomb.after);
    ASSERT_NE(start, std::string::npos) << bomb.name;
    bytes.replace(start + bomb.at, bomb.sides.size(), bomb.sides);
    const std::string error = ErrorOfBytes(bytes);
    EXPECT_NE(error.find("250 megapixels"), std::string::npos) << bomb.name << ": " << error;
  }
}

// A box that nobody reads, with what looks like the beginning of a small picture.
TEST_F(PictureFileTest, OtherBoxesOfAJpeg2000TellNoSize) {
  using std::string_literals::operator""s;
  constexpr size_t kSignature = 12;
  std::string bytes = BytesOf(DataFolder() + "rgb.jp2");
  bytes.insert(kSignature,
               "\0\0\0\x20"
               "free\xff\x4f\xff\x51\0\x2f\0\0\0\0\0\1\0\0\0\1\0\0\0\0\0\0\0\0"s);
  const auto size = [&] {
    return SizeOfPicture("JPEG 2000",
                         {reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
  };
  EXPECT_EQ(size().width, 52u);
  EXPECT_EQ(size().height, 28u);
  bytes.replace(bytes.rfind("\xff\x4f\xff\x51") + 8, 8, "\0\0\x9c\x40\0\0\x9c\x40"s);
  EXPECT_EQ(size().width, 40000u);
  const std::string error = ErrorOfBytes(bytes);
  EXPECT_NE(error.find("250 megapixels"), std::string::npos) << error;
}

TEST_F(PictureFileTest, AMaskedBitmapIsAllThere) {
  for (const char* name : {"555.bmp", "xrgb.bmp"}) {
    const std::string bytes = BytesOf(DataFolder() + name);
    const auto with = [&](size_t at, const std::string& instead) {
      return std::string(bytes).replace(at, instead.size(), instead);
    };
    EXPECT_NE(ErrorOfBytes(bytes.substr(0, bytes.size() - 1)).find("truncated"), std::string::npos);
    EXPECT_NE(ErrorOfBytes(bytes.substr(0, 40)).find("truncated"), std::string::npos);
    EXPECT_NE(ErrorOfBytes(with(10, "\xff\xff\xff\xff")).find("truncated"), std::string::npos);
    EXPECT_NE(ErrorOfBytes(with(18, "\x70\x3a\x01")).find("truncated"), std::string::npos);
    EXPECT_NE(ErrorOfBytes(with(18, "\xff\xff\xff\xff")).find("truncated"), std::string::npos);
  }
  // A mask with a hole in it.
  const std::string bytes = BytesOf(DataFolder() + "xrgb.bmp");
  EXPECT_NE(ErrorOfBytes(std::string(bytes).replace(54, 1, "\x01")).find("damaged"),
            std::string::npos);
}

TEST_F(PictureFileTest, APortableMapIsAllThere) {
  for (const char* name : {"3x255.p6", "3x31.p3", "bits.p1", "bits.p4", "3x1023.p6"}) {
    std::string bytes = BytesOf(DataFolder() + name);
    bytes.resize(bytes.size() * 2 / 3);
    EXPECT_NE(ErrorOfBytes(bytes).find("truncated"), std::string::npos) << name;
  }
  EXPECT_NE(
      ErrorOfBytes("P6\n20 20\n70000\n" + std::string(2400, 'x')).find("truncated or damaged"),
      std::string::npos);
  EXPECT_NE(ErrorOfBytes("P1\n16000 15000\n0 1 0").find("truncated"), std::string::npos);
}

}  // namespace
}  // namespace cliptag::test
