// FrameView against GStreamer's own unpacking of every format: the oracle is GstVideoFormatInfo's
// unpack function, which turns a line of any format into 8- or 16-bit components.
#include "plugin/gst/frame_view.h"

#include <array>
#include <random>

#include "tests/elements/gst_test.h"

namespace cliptag {
namespace {

// A mapped frame with random content.
class Frame {
 public:
  explicit Frame(const GstVideoInfo& info, std::array<guint, 4> crop = {}) : info_(info) {
    buffer_ = gst_buffer_new_allocate(nullptr, info.size, nullptr);
    if (crop != std::array<guint, 4>()) {
      GstVideoCropMeta* meta = gst_buffer_add_video_crop_meta(buffer_);
      meta->x = crop[0];
      meta->y = crop[1];
      meta->width = crop[2];
      meta->height = crop[3];
    }
    GstMapInfo map;
    EXPECT_TRUE(gst_buffer_map(buffer_, &map, GST_MAP_WRITE));
    std::mt19937 random(7);
    for (gsize i = 0; i < map.size; ++i) map.data[i] = static_cast<guint8>(random());
    gst_buffer_unmap(buffer_, &map);
    EXPECT_TRUE(gst_video_frame_map(&frame_, &info_, buffer_, GST_MAP_READ));
  }
  ~Frame() {
    gst_video_frame_unmap(&frame_);
    gst_buffer_unref(buffer_);
  }
  const GstVideoFrame& get() const { return frame_; }

 private:
  GstVideoInfo info_;
  GstBuffer* buffer_;
  GstVideoFrame frame_;
};

GstVideoInfo InfoOf(GstVideoFormat format, int width, int height) {
  GstVideoInfo info;
  EXPECT_TRUE(gst_video_info_set_format(&info, format, static_cast<guint>(width),
                                        static_cast<guint>(height)));
  return info;
}

GstVideoInfo InfoOf(const std::string& caps_string) {
  GstCaps* caps = gst_caps_from_string(caps_string.c_str());
  GstVideoInfo info;
  EXPECT_TRUE(gst_video_info_from_caps(&info, caps)) << caps_string;
  gst_caps_unref(caps);
  return info;
}

// Sample (x, y) of a component as a kernel reads it.
int SampleOf(const FrameView& view, int component, int x, int y) {
  const Component& c = view.component[component];
  const bool chroma = component > 0 && view.kind == PixelKind::kYuv;
  const int sx = chroma ? x >> view.chroma_shift_x : x;
  const int sy = chroma ? y >> view.chroma_shift_y : y;
  const uint8_t* p = c.data + sy * c.row_stride + sx * c.pixel_stride;
  const int word = view.bytes_per_sample == 2 ? p[0] | p[1] << 8 : p[0];
  return (word >> view.shift) & ((1 << view.bits) - 1);
}

TEST(FrameViewFormats, CoversTheContract) {
  const std::string caps = SupportedFormatsCaps();
  for (const char* name :
       {"RGB",  "BGR",       "RGBx", "BGRx", "xRGB", "xBGR",      "RGBA",     "BGRA", "ARGB",
        "ABGR", "GRAY8",     "I420", "YV12", "NV12", "NV21",      "YUY2",     "UYVY", "YVYU",
        "VYUY", "P010_10LE", "Y42B", "Y444", "NV16", "I420_10LE", "GRAY16_LE"}) {
    EXPECT_TRUE(FormatIsSupported(gst_video_format_get_info(gst_video_format_from_string(name))))
        << name;
    EXPECT_NE(caps.find(std::string(" ") + name), std::string::npos) << name;
  }
  // Palettes, tiles, big endian, bit-packed, subsampled luma: not addressable as samples.
  for (const char* name : {"RGB8P", "NV12_64Z32", "I420_10BE", "GRAY16_BE", "v210", "UYVP", "RGB16",
                           "GRAY10_LE32", "NV12_10LE32", "r210", "IYU1", "Y412_LE", "RGB10A2_LE"}) {
    EXPECT_FALSE(FormatIsSupported(gst_video_format_get_info(gst_video_format_from_string(name))))
        << name;
  }
}

TEST(FrameViewFormats, EveryPixelOfEveryFormatIsWhatGStreamerUnpacks) {
  guint count = 0;
  const GstVideoFormat* formats = gst_video_formats_raw(&count);
  int checked = 0;
  for (guint f = 0; f < count; ++f) {
    const GstVideoFormatInfo* finfo = gst_video_format_get_info(formats[f]);
    if (!FormatIsSupported(finfo)) continue;
    SCOPED_TRACE(GST_VIDEO_FORMAT_INFO_NAME(finfo));
    constexpr int kWidth = 11, kHeight = 7;  // odd on purpose
    const Frame frame(InfoOf(formats[f], kWidth, kHeight));
    Result<FrameView> view = MakeFrameView(frame.get(), Orientation::kRotate0);
    ASSERT_TRUE(view.ok()) << view.status().message();
    ASSERT_EQ(view->width, kWidth);
    ASSERT_EQ(view->height, kHeight);
    const GstVideoFormatInfo* unpacked = gst_video_format_get_info(finfo->unpack_format);
    const bool wide = GST_VIDEO_FORMAT_INFO_DEPTH(unpacked, 0) > 8;
    std::vector<guint16> line(4 * (kWidth + 8));
    const gpointer planes[] = {frame.get().data[0], frame.get().data[1], frame.get().data[2],
                               frame.get().data[3]};
    // GStreamer (1.22) swaps U and V when it unpacks the last odd column of VYUY.
    const int right = formats[f] == GST_VIDEO_FORMAT_VYUY ? kWidth - 1 : kWidth;
    for (int y = 0; y < kHeight; ++y) {
      // Without interpolation of chroma; without scaling of the range, so that bits compare.
      finfo->unpack_func(finfo, GST_VIDEO_PACK_FLAG_TRUNCATE_RANGE, line.data(), planes,
                         frame.get().info.stride, 0, y, kWidth);
      for (int x = 0; x < right; ++x) {
        for (int c = 0; c < (view->kind == PixelKind::kGray ? 1 : 3); ++c) {
          const int index = 4 * x + 1 + c;  // ARGB or AYUV
          const int expected = wide ? line[static_cast<size_t>(index)] >> (16 - view->bits)
                                    : reinterpret_cast<guint8*>(line.data())[index];
          ASSERT_EQ(SampleOf(*view, c, x, y), expected)
              << "component " << c << " at " << x << ", " << y;
        }
      }
    }
    ++checked;
  }
  EXPECT_GE(checked, 50);
}

TEST(FrameViewColour, ComesFromTheCaps) {
  struct Case {
    const char* colorimetry;
    YuvMatrix matrix;
    bool full;
  };
  for (const Case& c :
       {Case{"bt601", YuvMatrix::kBt601, false}, Case{"bt709", YuvMatrix::kBt709, false},
        Case{"bt2020", YuvMatrix::kBt2020, false}, Case{"smpte240m", YuvMatrix::kSmpte240m, false},
        Case{"1:4:5:1", YuvMatrix::kBt601, true}, Case{"1:3:5:1", YuvMatrix::kBt709, true},
        Case{"2:2:5:1", YuvMatrix::kFcc, false}}) {
    SCOPED_TRACE(c.colorimetry);
    const Frame frame(
        InfoOf(test::CapsOf("NV12", 64, 48) + ",colorimetry=" + std::string(c.colorimetry)));
    Result<FrameView> view = MakeFrameView(frame.get(), Orientation::kRotate0);
    ASSERT_TRUE(view.ok());
    EXPECT_EQ(view->matrix, c.matrix);
    EXPECT_EQ(view->full_range, c.full);
  }
  const Frame sd(InfoOf(test::CapsOf("I420", 640, 480)));
  EXPECT_EQ(MakeFrameView(sd.get(), Orientation::kRotate0)->matrix, YuvMatrix::kBt601);
  const Frame hd(InfoOf(test::CapsOf("I420", 1280, 720)));
  EXPECT_EQ(MakeFrameView(hd.get(), Orientation::kRotate0)->matrix, YuvMatrix::kBt709);
  const Frame rgb(InfoOf(test::CapsOf("RGB", 64, 48)));
  EXPECT_TRUE(MakeFrameView(rgb.get(), Orientation::kRotate0)->full_range);
  const Frame gray(InfoOf(test::CapsOf("GRAY8", 64, 48)));
  EXPECT_TRUE(MakeFrameView(gray.get(), Orientation::kRotate0)->full_range);
  EXPECT_EQ(MakeFrameView(gray.get(), Orientation::kRotate0)->kind, PixelKind::kGray);
}

TEST(FrameViewColour, TransferAndPrimaries) {
  struct Case {
    const char* caps;
    Transfer transfer;
    Primaries primaries;
  };
  for (const Case& c :
       {Case{"P010_10LE,colorimetry=bt2100-pq", Transfer::kPq, Primaries::kBt2020},
        Case{"P010_10LE,colorimetry=bt2100-hlg", Transfer::kHlg, Primaries::kBt2020},
        Case{"I420_10LE,colorimetry=bt2020-10", Transfer::kSdr, Primaries::kBt2020},
        Case{"NV12,colorimetry=bt2100-pq", Transfer::kPq, Primaries::kBt2020},
        Case{"NV12,colorimetry=2:6:14:0", Transfer::kPq, Primaries::kBt2020},
        Case{"NV12,colorimetry=2:3:14:1", Transfer::kPq, Primaries::kBt709},
        Case{"RGB,colorimetry=1:1:15:7", Transfer::kHlg, Primaries::kBt2020},
        Case{"NV12,colorimetry=bt709", Transfer::kSdr, Primaries::kBt709},
        Case{"NV12,colorimetry=bt601", Transfer::kSdr, Primaries::kBt709},
        Case{"NV12", Transfer::kSdr, Primaries::kBt709},
        Case{"RGB", Transfer::kSdr, Primaries::kBt709}}) {
    SCOPED_TRACE(c.caps);
    // At a size for which some would guess BT.2020.
    const Frame frame(InfoOf(test::CapsOf(c.caps, 3840, 2160)));
    Result<FrameView> view = MakeFrameView(frame.get(), Orientation::kRotate0);
    ASSERT_TRUE(view.ok());
    EXPECT_EQ(view->transfer, c.transfer);
    EXPECT_EQ(view->primaries, c.primaries);
  }
}

TEST(FrameViewColour, ChromaSite) {
  struct Case {
    const char* site;
    bool x, y;
  };
  for (const Case& c :
       {Case{"mpeg2", true, false}, Case{"jpeg", false, false}, Case{"cosited", true, true}}) {
    SCOPED_TRACE(c.site);
    const Frame frame(
        InfoOf(test::CapsOf("I420", 64, 48) + ",colorimetry=bt601,chroma-site=" + c.site));
    Result<FrameView> view = MakeFrameView(frame.get(), Orientation::kRotate0);
    ASSERT_TRUE(view.ok());
    EXPECT_EQ(view->chroma_cosited_x, c.x);
    EXPECT_EQ(view->chroma_cosited_y, c.y);
  }
}

TEST(FrameViewPixel, ComesFromTheCaps) {
  const auto pixel_of = [](const char* aspect) {
    const Frame frame(InfoOf(test::CapsOf("NV12", 64, 48) + aspect));
    return MakeFrameView(frame.get(), Orientation::kRotate0)->pixel;
  };
  EXPECT_EQ(pixel_of(""), PixelAspect());
  EXPECT_EQ(pixel_of(",pixel-aspect-ratio=128/90"), (PixelAspect{64, 45}));
  EXPECT_EQ(pixel_of(",pixel-aspect-ratio=1/2"), (PixelAspect{1, 2}));
  EXPECT_EQ(pixel_of(",pixel-aspect-ratio=0/1"), PixelAspect());
}

TEST(FrameViewCrop, IsCutToTheFrame) {
  struct Case {
    std::array<guint, 4> crop;  // x, y, width, height
    Rect expected;
  };
  for (const Case& c : {Case{{10, 20, 30, 10}, {10, 20, 30, 10}},
                        Case{{90, 40, 30, 30}, {90, 40, 10, 10}}, Case{{100, 0, 5, 5}, {}},
                        Case{{0, 0, 0, 9}, {}}, Case{{5, 5, G_MAXUINT, G_MAXUINT}, {5, 5, 95, 45}},
                        Case{{G_MAXUINT, G_MAXUINT, G_MAXUINT, 2}, {}}}) {
    const Frame frame(InfoOf(GST_VIDEO_FORMAT_RGB, 100, 50), c.crop);
    Result<FrameView> view = MakeFrameView(frame.get(), Orientation::kRotate0);
    ASSERT_TRUE(view.ok());
    EXPECT_EQ(view->crop, c.expected);
  }
}

TEST(FrameViewOrientation, NamesOfTheTag) {
  const std::pair<const char*, Orientation> cases[] = {
      {"rotate-0", Orientation::kRotate0},
      {"rotate-90", Orientation::kRotate90},
      {"rotate-180", Orientation::kRotate180},
      {"rotate-270", Orientation::kRotate270},
      {"flip-rotate-0", Orientation::kFlipRotate0},
      {"flip-rotate-90", Orientation::kFlipRotate90},
      {"flip-rotate-180", Orientation::kFlipRotate180},
      {"flip-rotate-270", Orientation::kFlipRotate270},
      {"upside down", Orientation::kRotate0},
      {nullptr, Orientation::kRotate0}};
  for (const auto& [name, orientation] : cases) EXPECT_EQ(ParseOrientation(name), orientation);
}

}  // namespace
}  // namespace cliptag
