// The view of a frame against GStreamer's own unpacking, for every format in the list.
#include "plugin/cli/media/gst_frame_view.h"

#include <algorithm>
#include <cstring>
#include <regex>

#include "tests/cli/test_files.h"

namespace cliptag {
namespace {

int Sample(const FrameView& view, int c, int x, int y) {
  const Component& component = view.component[c];
  const uint8_t* at = component.data + y * component.row_stride + x * component.pixel_stride;
  const int word = view.bytes_per_sample == 2 ? at[0] | at[1] << 8 : at[0];
  return (word >> view.shift) & ((1 << view.bits) - 1);
}

std::vector<std::string> Formats() {
  std::vector<std::string> names;
  const std::string list = SupportedVideoFormats();
  const std::regex word("[A-Za-z0-9_]+");
  for (std::sregex_iterator i(list.begin(), list.end(), word), end; i != end; ++i) {
    names.push_back(i->str());
  }
  return names;
}

class FrameViewTest : public testing::TestWithParam<std::string> {};

TEST_P(FrameViewTest, AddressesWhatGStreamerUnpacks) {
  ASSERT_TRUE(InitGStreamer().ok());
  const GstVideoFormat format = gst_video_format_from_string(GetParam().c_str());
  ASSERT_TRUE(IsSupportedVideoFormat(format));
  constexpr int kWidth = 13, kHeight = 7;  // odd: the last chroma sample has one column
  GstVideoInfo info;
  ASSERT_TRUE(gst_video_info_set_format(&info, format, kWidth, kHeight));
  GstBuffer* buffer = gst_buffer_new_allocate(nullptr, info.size, nullptr);
  GstMapInfo map;
  ASSERT_TRUE(gst_buffer_map(buffer, &map, GST_MAP_WRITE));
  for (size_t i = 0; i < map.size; ++i) map.data[i] = static_cast<uint8_t>(i * 167 + 13);
  gst_buffer_unmap(buffer, &map);
  const auto mapped = MappedFrame::Map(buffer, info);
  ASSERT_NE(mapped, nullptr);
  const FrameView view = FrameViewOf(mapped->frame());
  EXPECT_EQ(view.width, kWidth);
  EXPECT_EQ(view.height, kHeight);

  const GstVideoFormatInfo* f = info.finfo;
  const bool deep = GST_VIDEO_FORMAT_INFO_BITS(gst_video_format_get_info(f->unpack_format)) == 16;
  std::vector<uint8_t> line(kWidth * 8 + 64);
  gpointer planes[GST_VIDEO_MAX_PLANES];
  for (int p = 0; p < GST_VIDEO_MAX_PLANES; ++p) planes[p] = mapped->frame().data[p];
  const int components = view.kind == PixelKind::kGray ? 1 : 3;
  for (int y = 0; y < kHeight; ++y) {
    f->unpack_func(f, GST_VIDEO_PACK_FLAG_TRUNCATE_RANGE, line.data(), planes, info.stride, 0, y,
                   kWidth);
    for (int x = 0; x < kWidth; ++x) {
      for (int c = 0; c < components; ++c) {
        const int sx = c ? view.chroma_shift_x : 0, sy = c ? view.chroma_shift_y : 0;
        int expected = line[4 * x + 1 + c];  // A, then the components
        if (deep) {
          uint16_t word;
          std::memcpy(&word, line.data() + 8 * x + 2 + 2 * c, 2);
          expected = word >> (16 - view.bits);
        }
        ASSERT_EQ(Sample(view, c, x >> sx, y >> sy), expected)
            << GetParam() << " component " << c << " at " << x << ", " << y;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(AllFormats, FrameViewTest, testing::ValuesIn(Formats()),
                         [](const auto& info) { return info.param; });

FrameView ViewOfCaps(const char* text) {
  EXPECT_TRUE(InitGStreamer().ok());
  GstCaps* caps = gst_caps_from_string(text);
  GstVideoInfo info;
  EXPECT_TRUE(gst_video_info_from_caps(&info, caps)) << text;
  gst_caps_unref(caps);
  return FrameViewOf(
      MappedFrame::Map(gst_buffer_new_allocate(nullptr, info.size, nullptr), info)->frame());
}

TEST(FrameViewOf, TakesColoursFromTheCaps) {
  constexpr char kNv12[] = "video/x-raw,format=NV12,width=1280,height=720,framerate=1/1";
  const FrameView plain = ViewOfCaps(kNv12);
  EXPECT_EQ(plain.matrix, YuvMatrix::kBt709);  // GStreamer's default for HD
  EXPECT_FALSE(plain.full_range);
  const std::string begin = kNv12;
  EXPECT_EQ(ViewOfCaps((begin + ",colorimetry=bt601").c_str()).matrix, YuvMatrix::kBt601);
  EXPECT_EQ(ViewOfCaps((begin + ",colorimetry=bt2020").c_str()).matrix, YuvMatrix::kBt2020);
  EXPECT_TRUE(ViewOfCaps((begin + ",colorimetry=1:4:5:1").c_str()).full_range);
  const FrameView pq = ViewOfCaps((begin + ",colorimetry=bt2100-pq").c_str());
  EXPECT_EQ(pq.transfer, Transfer::kPq);
  EXPECT_EQ(pq.primaries, Primaries::kBt2020);
  EXPECT_EQ(ViewOfCaps((begin + ",colorimetry=bt2100-hlg").c_str()).transfer, Transfer::kHlg);
  EXPECT_EQ(ViewOfCaps((begin + ",colorimetry=2:6:14:0").c_str()).primaries, Primaries::kBt2020);
  EXPECT_EQ(ViewOfCaps((begin + ",colorimetry=bt2020").c_str()).primaries, Primaries::kBt2020);
  EXPECT_EQ(plain.transfer, Transfer::kSdr);
  EXPECT_EQ(plain.primaries, Primaries::kBt709);
  const FrameView jpeg = ViewOfCaps((begin + ",colorimetry=bt709,chroma-site=jpeg").c_str());
  EXPECT_FALSE(jpeg.chroma_cosited_x);
  EXPECT_FALSE(jpeg.chroma_cosited_y);
  const FrameView cosited = ViewOfCaps((begin + ",colorimetry=bt709,chroma-site=cosited").c_str());
  EXPECT_TRUE(cosited.chroma_cosited_x);
  EXPECT_TRUE(cosited.chroma_cosited_y);
  EXPECT_TRUE(ViewOfCaps("video/x-raw,format=RGB,width=4,height=4").full_range);
  EXPECT_TRUE(ViewOfCaps("video/x-raw,format=GRAY8,width=4,height=4").full_range);
}

TEST(FrameViewOf, TakesThePixelsShapeFromTheCaps) {
  const std::string begin = "video/x-raw,format=NV12,width=64,height=48";
  EXPECT_EQ(ViewOfCaps(begin.c_str()).pixel, PixelAspect());
  EXPECT_EQ(ViewOfCaps((begin + ",pixel-aspect-ratio=4/2").c_str()).pixel, (PixelAspect{2, 1}));
}

TEST(FrameViewOf, TakesTheCropFromTheMeta) {
  ASSERT_TRUE(InitGStreamer().ok());
  GstVideoInfo info;
  gst_video_info_set_format(&info, GST_VIDEO_FORMAT_I420, 64, 48);
  GstBuffer* buffer = gst_buffer_new_allocate(nullptr, info.size, nullptr);
  GstVideoCropMeta* crop = gst_buffer_add_video_crop_meta(buffer);
  crop->x = 3, crop->y = 5, crop->width = 20, crop->height = 10;
  const auto mapped = MappedFrame::Map(buffer, info);
  const FrameView view = FrameViewOf(mapped->frame());
  EXPECT_EQ(view.crop.x, 3);
  EXPECT_EQ(view.crop.y, 5);
  EXPECT_EQ(view.crop.width, 20);
  EXPECT_EQ(view.crop.height, 10);
}

TEST(OrientationFromTag, KnowsAllEight) {
  EXPECT_EQ(OrientationFromTag("rotate-0"), Orientation::kRotate0);
  EXPECT_EQ(OrientationFromTag("rotate-90"), Orientation::kRotate90);
  EXPECT_EQ(OrientationFromTag("rotate-180"), Orientation::kRotate180);
  EXPECT_EQ(OrientationFromTag("rotate-270"), Orientation::kRotate270);
  EXPECT_EQ(OrientationFromTag("flip-rotate-0"), Orientation::kFlipRotate0);
  EXPECT_EQ(OrientationFromTag("flip-rotate-90"), Orientation::kFlipRotate90);
  EXPECT_EQ(OrientationFromTag("flip-rotate-180"), Orientation::kFlipRotate180);
  EXPECT_EQ(OrientationFromTag("flip-rotate-270"), Orientation::kFlipRotate270);
  EXPECT_EQ(OrientationFromTag("sideways"), Orientation::kRotate0);
  EXPECT_EQ(OrientationFromTag(nullptr), Orientation::kRotate0);
}

}  // namespace
}  // namespace cliptag
