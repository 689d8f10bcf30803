#include "plugin/cli/media/raw_frames.h"

#include <cstdint>
#include <utility>

#include "plugin/cli/media/mapped_frame.h"
#include "plugin/gst/frame_view.h"

namespace cliptag {
namespace {

Result<GstVideoInfo> InfoOf(const std::string& format, int width, int height) {
  CLIPTAG_RETURN_IF_ERROR(InitGStreamer());
  const GstVideoFormat id = gst_video_format_from_string(format.c_str());
  if (!FormatIsSupported(gst_video_format_get_info(id))) {
    return InvalidArgument("'" + format + "' is no raw video format that can be read; there are " +
                           SupportedFormatsCaps());
  }
  GstVideoInfo info;
  if (!gst_video_info_set_format(&info, id, static_cast<guint>(width),
                                 static_cast<guint>(height))) {
    return InvalidArgument("frames of " + std::to_string(width) + "x" + std::to_string(height) +
                           " pixels are too large");
  }
  return info;
}

// A gradient that moves from frame to frame, with noise in the low bits. Every byte of a frame is a
// sample, or half of one, so that this fits any format.
void Fill(std::span<uint8_t> bytes, size_t stride, uint32_t seed) {
  uint32_t noise = 2654435761u * (seed + 1);
  for (size_t i = 0; i < bytes.size(); ++i) {
    noise ^= noise << 13, noise ^= noise >> 17, noise ^= noise << 5;  // xorshift
    const size_t x = i % stride, y = i / stride;
    bytes[i] = static_cast<uint8_t>((x / 8 + y / 4 + 32 * seed) ^ (noise & 15));
  }
}

}  // namespace

Result<size_t> RawFrameBytes(const std::string& format, int width, int height) {
  CLIPTAG_ASSIGN_OR_RETURN(const GstVideoInfo info, InfoOf(format, width, height));
  return info.size;
}

Result<RawPictures> MakeRawPictures(const std::string& format, int width, int height, int count) {
  CLIPTAG_ASSIGN_OR_RETURN(const GstVideoInfo info, InfoOf(format, width, height));
  RawPictures pictures{info, {}};
  for (int i = 0; i < count; ++i) {
    std::vector<uint8_t>& bytes = pictures.bytes.emplace_back(info.size);
    Fill(bytes, static_cast<size_t>(info.stride[0]), static_cast<uint32_t>(i));
  }
  return pictures;
}

Result<RawFrames> RawFrames::Make(const std::string& format, int width, int height, int count) {
  CLIPTAG_ASSIGN_OR_RETURN(const GstVideoInfo info, InfoOf(format, width, height));
  RawFrames frames;
  for (int i = 0; i < count; ++i) {
    GstBuffer* buffer = gst_buffer_new_allocate(nullptr, info.size, nullptr);
    GstMapInfo map;
    if (!buffer || !gst_buffer_map(buffer, &map, GST_MAP_WRITE)) {
      return ResourceExhausted("not enough memory for " + std::to_string(count) + " frames of " +
                               std::to_string(info.size) + " bytes");
    }
    Fill({map.data, map.size}, static_cast<size_t>(info.stride[0]), static_cast<uint32_t>(i));
    gst_buffer_unmap(buffer, &map);
    CLIPTAG_ASSIGN_OR_RETURN(MediaFrame frame, MapFrame(buffer, info));
    frames.views_.push_back(frame.view);
    frames.mapped_.push_back(std::move(frame.pixels));
  }
  return frames;
}

}  // namespace cliptag
