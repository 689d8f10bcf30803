#include "plugin/gst/frame_view.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace cliptag {
namespace {

constexpr int kComponents = 3;  // alpha, if any, is ignored

// The depth that all components share, or 0.
int CommonDepth(const GstVideoFormatInfo* format) {
  const int count = std::min<int>(GST_VIDEO_FORMAT_INFO_N_COMPONENTS(format), kComponents);
  for (int c = 1; c < count; ++c) {
    if (GST_VIDEO_FORMAT_INFO_DEPTH(format, c) != GST_VIDEO_FORMAT_INFO_DEPTH(format, 0) ||
        GST_VIDEO_FORMAT_INFO_SHIFT(format, c) != GST_VIDEO_FORMAT_INFO_SHIFT(format, 0)) {
      return 0;
    }
  }
  return GST_VIDEO_FORMAT_INFO_DEPTH(format, 0);
}

// Bytes from a pixel's start to its sample. GStreamer's description has samples instead of bytes
// for the second chroma component of P010, P012 and P016.
int OffsetOf(const GstVideoFormatInfo* format, int component, int bytes) {
  const int offset = static_cast<int>(GST_VIDEO_FORMAT_INFO_POFFSET(format, component));
  return bytes == 2 && offset % 2 == 1 ? 2 * offset : offset;
}

// The offsets of packed 8-bit formats as GStreamer's own unpacking reads them: its description of
// VYUY swaps U and V (1.22).
void LearnPackedOffsets(const GstVideoFormatInfo* format, int offsets[kComponents]) {
  const bool packed = GST_VIDEO_FORMAT_INFO_N_PLANES(format) == 1 &&
                      GST_VIDEO_FORMAT_INFO_DEPTH(format, 0) == 8 &&
                      !GST_VIDEO_FORMAT_INFO_IS_GRAY(format);
  if (!packed) return;
  guint8 pixels[8] = {0, 1, 2, 3, 4, 5, 6, 7};  // two pixels; each byte holds its own offset
  const gpointer planes[GST_VIDEO_MAX_PLANES] = {pixels};
  const gint strides[GST_VIDEO_MAX_PLANES] = {sizeof pixels};
  guint8 unpacked[2][4] = {};  // A and three components
  format->unpack_func(format, GST_VIDEO_PACK_FLAG_TRUNCATE_RANGE, unpacked, planes, strides, 0, 0,
                      2);
  for (int c = 0; c < kComponents; ++c) offsets[c] = unpacked[0][c + 1];
}

// Two components at one address: GStreamer's description is wrong (Y212_LE, Y412_LE, RGB10A2_LE).
bool ComponentsOverlap(const GstVideoFormatInfo* format, int count, int bytes) {
  for (int a = 0; a < count; ++a) {
    for (int b = a + 1; b < count; ++b) {
      if (GST_VIDEO_FORMAT_INFO_PLANE(format, a) == GST_VIDEO_FORMAT_INFO_PLANE(format, b) &&
          OffsetOf(format, a, bytes) == OffsetOf(format, b, bytes)) {
        return true;
      }
    }
  }
  return false;
}

YuvMatrix MatrixOf(const GstVideoInfo& info) {
  switch (info.colorimetry.matrix) {
    case GST_VIDEO_COLOR_MATRIX_BT601:
      return YuvMatrix::kBt601;
    case GST_VIDEO_COLOR_MATRIX_BT709:
      return YuvMatrix::kBt709;
    case GST_VIDEO_COLOR_MATRIX_BT2020:
      return YuvMatrix::kBt2020;
    case GST_VIDEO_COLOR_MATRIX_SMPTE240M:
      return YuvMatrix::kSmpte240m;
    case GST_VIDEO_COLOR_MATRIX_FCC:
      return YuvMatrix::kFcc;
    default:  // unknown: GStreamer's rule for caps without colorimetry
      return info.height > 576 ? YuvMatrix::kBt709 : YuvMatrix::kBt601;
  }
}

Transfer TransferOf(const GstVideoColorimetry& colorimetry) {
  switch (colorimetry.transfer) {
    case GST_VIDEO_TRANSFER_SMPTE2084:
      return Transfer::kPq;
    case GST_VIDEO_TRANSFER_ARIB_STD_B67:
      return Transfer::kHlg;
    default:
      return Transfer::kSdr;
  }
}

// PQ and HLG belong to BT.2100, which has the primaries of BT.2020.
Primaries PrimariesOf(const GstVideoColorimetry& colorimetry) {
  const bool unknown = colorimetry.primaries == GST_VIDEO_COLOR_PRIMARIES_UNKNOWN;
  return colorimetry.primaries == GST_VIDEO_COLOR_PRIMARIES_BT2020 ||
                 (unknown && TransferOf(colorimetry) != Transfer::kSdr)
             ? Primaries::kBt2020
             : Primaries::kBt709;
}

bool IsFullRange(const GstVideoInfo& info) {
  switch (info.colorimetry.range) {
    case GST_VIDEO_COLOR_RANGE_0_255:
      return true;
    case GST_VIDEO_COLOR_RANGE_16_235:
      return false;
    default:
      return !GST_VIDEO_INFO_IS_YUV(&info);
  }
}

Rect ClampCrop(const GstVideoCropMeta& crop, int width, int height) {
  // 64 bits: x + width of a hostile meta may not fit 32.
  const int64_t x0 = std::min<int64_t>(crop.x, width), y0 = std::min<int64_t>(crop.y, height);
  const int64_t x1 = std::min<int64_t>(x0 + crop.width, width);
  const int64_t y1 = std::min<int64_t>(y0 + crop.height, height);
  if (x1 <= x0 || y1 <= y0) return {};
  return {static_cast<int>(x0), static_cast<int>(y0), static_cast<int>(x1 - x0),
          static_cast<int>(y1 - y0)};
}

}  // namespace

bool FormatIsSupported(const GstVideoFormatInfo* format) {
  const bool known_kind = GST_VIDEO_FORMAT_INFO_IS_YUV(format) ||
                          GST_VIDEO_FORMAT_INFO_IS_RGB(format) ||
                          GST_VIDEO_FORMAT_INFO_IS_GRAY(format);
  if (!known_kind || GST_VIDEO_FORMAT_INFO_IS_COMPLEX(format) ||
      GST_VIDEO_FORMAT_INFO_IS_TILED(format) || GST_VIDEO_FORMAT_INFO_HAS_PALETTE(format)) {
    return false;
  }
  const int depth = CommonDepth(format);
  if (depth < 8 || depth > 16) return false;
  if (depth > 8 && !GST_VIDEO_FORMAT_INFO_IS_LE(format)) return false;
  const int bytes = depth > 8 ? 2 : 1;
  const int count = std::min<int>(GST_VIDEO_FORMAT_INFO_N_COMPONENTS(format), kComponents);
  if (count != (GST_VIDEO_FORMAT_INFO_IS_GRAY(format) ? 1 : kComponents)) return false;
  for (int c = 0; c < count; ++c) {
    // Samples that share a byte or a word with others (GRAY10_LE32, 10-bit packed) are not
    // addressable.
    if (GST_VIDEO_FORMAT_INFO_PSTRIDE(format, c) < bytes) return false;
    if (depth + static_cast<int>(GST_VIDEO_FORMAT_INFO_SHIFT(format, c)) > bytes * 8) return false;
  }
  if (ComponentsOverlap(format, count, bytes)) return false;
  // A FrameView has luma at full size and one subsampling for both chroma components.
  if (GST_VIDEO_FORMAT_INFO_W_SUB(format, 0) != 0 || GST_VIDEO_FORMAT_INFO_H_SUB(format, 0) != 0) {
    return false;
  }
  return count == 1 ||
         (GST_VIDEO_FORMAT_INFO_W_SUB(format, 1) == GST_VIDEO_FORMAT_INFO_W_SUB(format, 2) &&
          GST_VIDEO_FORMAT_INFO_H_SUB(format, 1) == GST_VIDEO_FORMAT_INFO_H_SUB(format, 2));
}

std::string SupportedFormatsCaps() {
  std::string list = "{ ";
  guint count = 0;
  const GstVideoFormat* formats = gst_video_formats_raw(&count);
  for (guint i = 0; i < count; ++i) {
    const GstVideoFormatInfo* info = gst_video_format_get_info(formats[i]);
    if (!FormatIsSupported(info)) continue;
    if (list.size() > 2) list += ", ";
    list += GST_VIDEO_FORMAT_INFO_NAME(info);
  }
  return list + " }";
}

bool ReadVideoInfo(const GstCaps* caps, GstVideoInfo* info) {
  if (!gst_video_info_from_caps(info, caps)) return false;
  const gchar* site = gst_structure_get_string(gst_caps_get_structure(caps, 0), "chroma-site");
  if (site != nullptr) info->chroma_site = gst_video_chroma_site_from_string(site);
  return true;
}

Result<FrameView> MakeFrameView(const GstVideoFrame& frame, Orientation orientation) {
  const GstVideoInfo& info = frame.info;
  const GstVideoFormatInfo* format = info.finfo;
  if (!FormatIsSupported(format)) {
    return Unsupported(std::string("Frames of format ") + GST_VIDEO_FORMAT_INFO_NAME(format) +
                       " cannot be tagged; put videoconvert before cliptag.");
  }
  FrameView view;
  view.width = info.width;
  view.height = info.height;
  view.kind = GST_VIDEO_FORMAT_INFO_IS_GRAY(format)  ? PixelKind::kGray
              : GST_VIDEO_FORMAT_INFO_IS_RGB(format) ? PixelKind::kRgb
                                                     : PixelKind::kYuv;
  view.bits = static_cast<int>(GST_VIDEO_FORMAT_INFO_DEPTH(format, 0));
  view.shift = static_cast<int>(GST_VIDEO_FORMAT_INFO_SHIFT(format, 0));
  view.bytes_per_sample = view.bits > 8 ? 2 : 1;
  const int count = view.kind == PixelKind::kGray ? 1 : kComponents;
  int offsets[kComponents];
  for (int c = 0; c < count; ++c) offsets[c] = OffsetOf(format, c, view.bytes_per_sample);
  LearnPackedOffsets(format, offsets);
  for (int c = 0; c < count; ++c) {
    const auto* plane = static_cast<const uint8_t*>(
        GST_VIDEO_FRAME_PLANE_DATA(&frame, GST_VIDEO_FORMAT_INFO_PLANE(format, c)));
    view.component[c] = {plane + offsets[c], GST_VIDEO_FRAME_COMP_STRIDE(&frame, c),
                         GST_VIDEO_FRAME_COMP_PSTRIDE(&frame, c)};
  }
  if (view.kind == PixelKind::kYuv) {
    view.chroma_shift_x = static_cast<int>(GST_VIDEO_FORMAT_INFO_W_SUB(format, 1));
    view.chroma_shift_y = static_cast<int>(GST_VIDEO_FORMAT_INFO_H_SUB(format, 1));
    const GstVideoChromaSite site = info.chroma_site;
    if (site != GST_VIDEO_CHROMA_SITE_UNKNOWN) {
      view.chroma_cosited_x = (site & GST_VIDEO_CHROMA_SITE_H_COSITED) != 0;
      view.chroma_cosited_y = (site & GST_VIDEO_CHROMA_SITE_V_COSITED) != 0;
    }
    view.matrix = MatrixOf(info);
  }
  view.transfer = TransferOf(info.colorimetry);
  view.primaries = PrimariesOf(info.colorimetry);
  view.full_range = IsFullRange(info);
  view.pixel = MakePixelAspect(GST_VIDEO_INFO_PAR_N(&info), GST_VIDEO_INFO_PAR_D(&info));
  view.orientation = orientation;
  if (const GstVideoCropMeta* crop = gst_buffer_get_video_crop_meta(frame.buffer)) {
    view.crop = ClampCrop(*crop, view.width, view.height);
  }
  return view;
}

Orientation ParseOrientation(const char* tag) {
  // In the order of the enum.
  constexpr std::array<const char*, 8> kNames = {
      "rotate-0",      "rotate-90",      "rotate-180",      "rotate-270",
      "flip-rotate-0", "flip-rotate-90", "flip-rotate-180", "flip-rotate-270"};
  for (size_t i = 0; i < kNames.size(); ++i) {
    if (tag != nullptr && std::strcmp(tag, kNames[i]) == 0) return static_cast<Orientation>(i);
  }
  return Orientation::kRotate0;
}

}  // namespace cliptag
