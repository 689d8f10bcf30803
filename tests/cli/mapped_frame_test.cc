// Element and tool see a frame alike: the tool's frame against the view that the element makes.
#include "plugin/cli/media/mapped_frame.h"

#include <cstdint>
#include <sstream>
#include <string>

#include "plugin/gst/frame_view.h"
#include "tests/cli/test_files.h"

namespace cliptag {
namespace {

struct Case {
  const char* caps;  // after "video/x-raw,"
  Rect crop;         // of the buffer's meta; none if the width is 0
};

// Everything that a view says, with addresses as offsets into the buffer.
std::string Text(const FrameView& view, const uint8_t* base) {
  std::ostringstream text;
  text << int(view.kind) << ' ' << view.width << 'x' << view.height << " bits " << view.bits << '<'
       << view.shift << '/' << view.bytes_per_sample << " chroma " << view.chroma_shift_x
       << view.chroma_shift_y << view.chroma_cosited_x << view.chroma_cosited_y << " matrix "
       << int(view.matrix) << int(view.transfer) << int(view.primaries) << view.full_range
       << " pixel " << view.pixel.width << ':' << view.pixel.height << " crop " << view.crop.x
       << ',' << view.crop.y << '+' << view.crop.width << 'x' << view.crop.height << " turned "
       << int(view.orientation);
  for (const Component& c : view.component) {
    if (c.data != nullptr) {
      text << " at " << c.data - base << ':' << c.row_stride << ':' << c.pixel_stride;
    }
  }
  return text.str();
}

class MappedFrameTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(InitGStreamer().ok()); }

  static GstVideoInfo InfoOf(const Case& c) {
    GstCaps* caps = gst_caps_from_string((std::string("video/x-raw,") + c.caps).c_str());
    GstVideoInfo info;
    EXPECT_TRUE(ReadVideoInfo(caps, &info)) << c.caps;
    gst_caps_unref(caps);
    return info;
  }

  static GstBuffer* BufferOf(const Case& c, const GstVideoInfo& info) {
    GstBuffer* buffer = gst_buffer_new_allocate(nullptr, info.size, nullptr);
    if (c.crop.width > 0) {
      GstVideoCropMeta* crop = gst_buffer_add_video_crop_meta(buffer);
      crop->x = static_cast<guint>(c.crop.x);
      crop->y = static_cast<guint>(c.crop.y);
      crop->width = static_cast<guint>(c.crop.width);
      crop->height = static_cast<guint>(c.crop.height);
    }
    return buffer;
  }

  static FrameView ToolView(const Case& c) {
    const GstVideoInfo info = InfoOf(c);
    Result<MediaFrame> frame = MapFrame(BufferOf(c, info), info);
    EXPECT_TRUE(frame.ok()) << c.caps;
    return frame->view;
  }
};

TEST_F(MappedFrameTest, IsTheElementsView) {
  for (const Case& c :
       {Case{"format=NV12,width=1280,height=720", {}},
        Case{"format=NV12,width=1280,height=720,colorimetry=2:0:0:0", {}},
        Case{"format=I420,width=640,height=480,colorimetry=2:0:0:0", {}},
        Case{"format=I420,width=640,height=480,chroma-site=jpeg", {}},
        Case{"format=P010_10LE,width=64,height=48,colorimetry=bt2100-pq", {}},
        Case{"format=VYUY,width=64,height=48", {}}, Case{"format=A420,width=64,height=48", {}},
        Case{"format=GBR_12LE,width=64,height=48", {}},
        Case{"format=RGB,width=64,height=48,pixel-aspect-ratio=4/2", {3, 5, 20, 10}},
        Case{"format=RGB,width=64,height=48", {50, 40, 100, 100}},
        Case{"format=GRAY16_LE,width=64,height=48", {64, 48, 9, 9}}}) {
    SCOPED_TRACE(c.caps);
    const GstVideoInfo info = InfoOf(c);
    GstBuffer* buffer = BufferOf(c, info);
    GstVideoFrame mapped;
    ASSERT_TRUE(gst_video_frame_map(&mapped, &info, buffer, GST_MAP_READ));
    const Result<FrameView> element = MakeFrameView(mapped, Orientation::kRotate90);
    const Result<MediaFrame> tool = MapFrame(gst_buffer_ref(buffer), info, Orientation::kRotate90);
    ASSERT_TRUE(element.ok() && tool.ok());
    const auto* base = static_cast<const uint8_t*>(mapped.data[0]);
    EXPECT_EQ(Text(*element, base), Text(tool->view, base));
    EXPECT_EQ(tool->bytes, info.size);
    gst_video_frame_unmap(&mapped);
    gst_buffer_unref(buffer);
  }
}

// Where the tool had rules of its own.
TEST_F(MappedFrameTest, FollowsTheElementsRules) {
  EXPECT_EQ(ToolView({"format=NV12,width=1280,height=720,colorimetry=2:0:0:0", {}}).matrix,
            YuvMatrix::kBt709);
  EXPECT_EQ(ToolView({"format=NV12,width=640,height=480,colorimetry=2:0:0:0", {}}).matrix,
            YuvMatrix::kBt601);
  EXPECT_EQ(ToolView({"format=RGB,width=64,height=48", {50, 40, 100, 100}}).crop,
            (Rect{50, 40, 14, 8}));
  EXPECT_FALSE(ToolView({"format=I420,width=64,height=48,chroma-site=jpeg", {}}).chroma_cosited_x);
  const FrameView vyuy = ToolView({"format=VYUY,width=64,height=48", {}});
  EXPECT_EQ(vyuy.component[1].data - vyuy.component[2].data, 2) << "V comes before U";
}

}  // namespace
}  // namespace cliptag
