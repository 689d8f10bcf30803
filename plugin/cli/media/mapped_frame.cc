#include "plugin/cli/media/mapped_frame.h"

#include <memory>
#include <string>
#include <utility>

#include "plugin/gst/frame_view.h"

namespace cliptag {

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

Result<MediaFrame> MapFrame(GstBuffer* buffer, const GstVideoInfo& info, Orientation orientation) {
  auto mapped = std::make_unique<GstVideoFrame>();
  const bool ok = gst_video_frame_map(mapped.get(), &info, buffer, GST_MAP_READ);
  gst_buffer_unref(buffer);  // the mapping holds a reference of its own
  if (!ok) return Unsupported("the frame cannot be mapped to memory");
  const std::shared_ptr<const GstVideoFrame> pixels(mapped.release(), [](GstVideoFrame* frame) {
    gst_video_frame_unmap(frame);
    delete frame;
  });
  MediaFrame frame;
  CLIPTAG_ASSIGN_OR_RETURN(frame.view, MakeFrameView(*pixels, orientation));
  frame.bytes = GST_VIDEO_FRAME_SIZE(pixels);
  frame.pixels = pixels;
  return frame;
}

}  // namespace cliptag
