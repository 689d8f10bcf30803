#include "plugin/cli/media/gst_frame_view.h"

#include <algorithm>
#include <iterator>
#include <string>
#include <string_view>

#include "plugin/gst/colorimetry.h"

namespace cliptag {
namespace {

// Not VYUY: GStreamer 1.22's table has its U and V the wrong way round, so that no code that trusts
// the table reads it as the converters write it.
constexpr GstVideoFormat kFormats[] = {
    GST_VIDEO_FORMAT_NV12,      GST_VIDEO_FORMAT_I420,      GST_VIDEO_FORMAT_YV12,
    GST_VIDEO_FORMAT_NV21,      GST_VIDEO_FORMAT_YUY2,      GST_VIDEO_FORMAT_UYVY,
    GST_VIDEO_FORMAT_YVYU,      GST_VIDEO_FORMAT_Y42B,      GST_VIDEO_FORMAT_Y444,
    GST_VIDEO_FORMAT_NV16,      GST_VIDEO_FORMAT_P010_10LE, GST_VIDEO_FORMAT_I420_10LE,
    GST_VIDEO_FORMAT_I422_10LE, GST_VIDEO_FORMAT_Y444_10LE, GST_VIDEO_FORMAT_RGB,
    GST_VIDEO_FORMAT_BGR,       GST_VIDEO_FORMAT_RGBx,      GST_VIDEO_FORMAT_BGRx,
    GST_VIDEO_FORMAT_xRGB,      GST_VIDEO_FORMAT_xBGR,      GST_VIDEO_FORMAT_RGBA,
    GST_VIDEO_FORMAT_BGRA,      GST_VIDEO_FORMAT_ARGB,      GST_VIDEO_FORMAT_ABGR,
    GST_VIDEO_FORMAT_GRAY8,     GST_VIDEO_FORMAT_GRAY16_LE,
};

YuvMatrix MatrixOf(GstVideoColorMatrix matrix) {
  switch (matrix) {
    case GST_VIDEO_COLOR_MATRIX_BT709:
      return YuvMatrix::kBt709;
    case GST_VIDEO_COLOR_MATRIX_BT2020:
      return YuvMatrix::kBt2020;
    case GST_VIDEO_COLOR_MATRIX_SMPTE240M:
      return YuvMatrix::kSmpte240m;
    case GST_VIDEO_COLOR_MATRIX_FCC:
      return YuvMatrix::kFcc;
    default:
      return YuvMatrix::kBt601;
  }
}

}  // namespace

Status InitGStreamer() {
  static const Status* status = [] {
    GError* error = nullptr;
    if (gst_init_check(nullptr, nullptr, &error)) return new Status;
    auto* failed = new Status(Unsupported(std::string("GStreamer does not start: ") +
                                          (error ? error->message : "no reason given")));
    g_clear_error(&error);
    return failed;
  }();
  return *status;
}

std::shared_ptr<const MappedFrame> MappedFrame::Map(GstBuffer* buffer, const GstVideoInfo& info) {
  std::shared_ptr<MappedFrame> mapped(new MappedFrame);
  GstVideoInfo copy = info;  // gst_video_frame_map does not promise to leave it alone
  const bool ok = gst_video_frame_map(&mapped->frame_, &copy, buffer, GST_MAP_READ);
  if (!ok) mapped->frame_.buffer = nullptr;
  gst_buffer_unref(buffer);  // the mapping holds a reference of its own
  return ok ? mapped : nullptr;
}

MappedFrame::~MappedFrame() {
  if (frame_.buffer) gst_video_frame_unmap(&frame_);
}

const char* SupportedVideoFormats() {
  static const std::string* list = [] {
    auto* text = new std::string("{ ");
    for (GstVideoFormat format : kFormats) {
      if (format != kFormats[0]) text->append(", ");
      text->append(gst_video_format_to_string(format));
    }
    text->append(" }");
    return text;
  }();
  return list->c_str();
}

bool IsSupportedVideoFormat(GstVideoFormat format) {
  return std::find(std::begin(kFormats), std::end(kFormats), format) != std::end(kFormats);
}

FrameView FrameViewOf(const GstVideoFrame& frame) {
  const GstVideoInfo& info = frame.info;
  const GstVideoFormatInfo* format = info.finfo;
  FrameView view;
  view.kind = GST_VIDEO_FORMAT_INFO_IS_RGB(format)    ? PixelKind::kRgb
              : GST_VIDEO_FORMAT_INFO_IS_GRAY(format) ? PixelKind::kGray
                                                      : PixelKind::kYuv;
  view.width = GST_VIDEO_INFO_WIDTH(&info);
  view.height = GST_VIDEO_INFO_HEIGHT(&info);
  view.bits = GST_VIDEO_FORMAT_INFO_DEPTH(format, 0);
  view.bytes_per_sample = view.bits > 8 ? 2 : 1;
  const int components = view.kind == PixelKind::kGray ? 1 : 3;
  for (int c = 0; c < components; ++c) {
    int offset = GST_VIDEO_FORMAT_INFO_POFFSET(format, c);
    // GStreamer's table has P010's V one byte behind its U, as if it counted samples.
    if (view.bytes_per_sample == 2 && offset % 2 != 0) offset *= 2;
    view.component[c] = {
        static_cast<const uint8_t*>(frame.data[GST_VIDEO_FORMAT_INFO_PLANE(format, c)]) + offset,
        GST_VIDEO_FRAME_COMP_STRIDE(&frame, c), GST_VIDEO_FRAME_COMP_PSTRIDE(&frame, c)};
  }
  view.shift = GST_VIDEO_FORMAT_INFO_SHIFT(format, 0);
  if (view.kind == PixelKind::kYuv) {
    view.chroma_shift_x = GST_VIDEO_FORMAT_INFO_W_SUB(format, 1);
    view.chroma_shift_y = GST_VIDEO_FORMAT_INFO_H_SUB(format, 1);
    // Caps that do not tell mean what MPEG-2 and its heirs do: FrameView's default.
    if (info.chroma_site != GST_VIDEO_CHROMA_SITE_UNKNOWN) {
      view.chroma_cosited_x = (info.chroma_site & GST_VIDEO_CHROMA_SITE_H_COSITED) != 0;
      view.chroma_cosited_y = (info.chroma_site & GST_VIDEO_CHROMA_SITE_V_COSITED) != 0;
    }
  }
  view.matrix = MatrixOf(info.colorimetry.matrix);
  view.transfer = TransferOf(info.colorimetry);
  view.primaries = PrimariesOf(info.colorimetry);
  // Unknown means limited for YUV and full for the others, as everywhere in GStreamer.
  view.full_range = view.kind == PixelKind::kYuv
                        ? info.colorimetry.range == GST_VIDEO_COLOR_RANGE_0_255
                        : info.colorimetry.range != GST_VIDEO_COLOR_RANGE_16_235;
  view.pixel = MakePixelAspect(GST_VIDEO_INFO_PAR_N(&info), GST_VIDEO_INFO_PAR_D(&info));
  if (const GstVideoCropMeta* crop = gst_buffer_get_video_crop_meta(frame.buffer)) {
    view.crop = {static_cast<int>(crop->x), static_cast<int>(crop->y),
                 static_cast<int>(crop->width), static_cast<int>(crop->height)};
  }
  return view;
}

Orientation OrientationFromTag(const char* value) {
  constexpr std::string_view kNames[] = {"rotate-0",        "rotate-90",      "rotate-180",
                                         "rotate-270",      "flip-rotate-0",  "flip-rotate-90",
                                         "flip-rotate-180", "flip-rotate-270"};
  const auto* found = std::find(std::begin(kNames), std::end(kNames), value ? value : "");
  return found == std::end(kNames) ? Orientation::kRotate0
                                   : static_cast<Orientation>(found - std::begin(kNames));
}

}  // namespace cliptag
