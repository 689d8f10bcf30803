#include "plugin/elements/picture_file.h"

#include <gst/app/gstappsink.h>
#include <gst/gst.h>
#include <gst/video/video.h>

#include <memory>

namespace cliptag {
namespace {

// A decoder that has said nothing for this long is given up.
constexpr GstClockTime kTimeout = 20 * GST_SECOND;
constexpr int kLargestSide = 16384;

struct Unref {
  void operator()(gpointer object) const { gst_object_unref(object); }
};
struct UnrefMini {
  void operator()(gpointer object) const { gst_mini_object_unref(GST_MINI_OBJECT(object)); }
};
struct Stop {
  void operator()(GstElement* pipeline) const {
    gst_element_set_state(pipeline, GST_STATE_NULL);
    gst_object_unref(pipeline);
  }
};
using PipelinePtr = std::unique_ptr<GstElement, Stop>;

Status Undecodable(const std::string& path, const std::string& why) {
  return DataLoss("The picture '" + path + "' cannot be decoded: " + why);
}

// The pipeline, which ends in the appsink "sink" and decodes a first frame when paused.
Result<PipelinePtr> MakePipeline(const std::string& path) {
  GError* error = nullptr;
  // Not with a decoder of the GPU, whose memory nobody here reads.
  const std::string line =
      "filesrc name=file ! decodebin force-sw-decoders=true ! videoconvert ! appsink name=sink "
      "sync=false "
      "caps=\"video/x-raw,format=RGB,width=[1," +
      std::to_string(kLargestSide) + "],height=[1," + std::to_string(kLargestSide) + "]\"";
  PipelinePtr pipeline(gst_parse_launch(line.c_str(), &error));
  if (error != nullptr) {
    const Status status = Unsupported("The picture '" + path +
                                      "' cannot be decoded, because GStreamer's base plugins are "
                                      "not installed: " +
                                      error->message + ".");
    g_error_free(error);
    return status;
  }
  const std::unique_ptr<GstElement, Unref> file(
      gst_bin_get_by_name(GST_BIN(pipeline.get()), "file"));
  g_object_set(file.get(), "location", path.c_str(), nullptr);
  return pipeline;
}

// Waits until a frame lies in the sink, or tells why none will.
Status Preroll(GstElement* pipeline, const std::string& path) {
  gst_element_set_state(pipeline, GST_STATE_PAUSED);
  const std::unique_ptr<GstBus, Unref> bus(gst_element_get_bus(pipeline));
  const std::unique_ptr<GstMessage, UnrefMini> message(gst_bus_timed_pop_filtered(
      bus.get(), kTimeout,
      static_cast<GstMessageType>(GST_MESSAGE_ERROR | GST_MESSAGE_ASYNC_DONE | GST_MESSAGE_EOS)));
  if (!message) {
    return Undecodable(path,
                       "nothing came of it in " + std::to_string(kTimeout / GST_SECOND) + " s.");
  }
  if (GST_MESSAGE_TYPE(message.get()) != GST_MESSAGE_ERROR) return {};
  GError* error = nullptr;
  gst_message_parse_error(message.get(), &error, nullptr);
  const Status status = Undecodable(path, error->message);
  g_error_free(error);
  return status;
}

}  // namespace

Result<ExemplarPicture> ReadPictureFile(const std::string& path) {
  CLIPTAG_ASSIGN_OR_RETURN(const PipelinePtr pipeline, MakePipeline(path));
  CLIPTAG_RETURN_IF_ERROR(Preroll(pipeline.get(), path));
  const std::unique_ptr<GstElement, Unref> sink(
      gst_bin_get_by_name(GST_BIN(pipeline.get()), "sink"));
  const std::unique_ptr<GstSample, UnrefMini> sample(
      gst_app_sink_try_pull_preroll(GST_APP_SINK(sink.get()), 0));
  if (!sample) return Undecodable(path, "there is no picture in it.");
  GstVideoInfo info;
  GstVideoFrame frame;
  if (!gst_video_info_from_caps(&info, gst_sample_get_caps(sample.get())) ||
      !gst_video_frame_map(&frame, &info, gst_sample_get_buffer(sample.get()), GST_MAP_READ)) {
    return Undecodable(path, "its decoder gave a frame that cannot be read.");
  }
  ExemplarPicture picture =
      PictureFrom(RgbView(static_cast<const uint8_t*>(GST_VIDEO_FRAME_PLANE_DATA(&frame, 0)),
                          GST_VIDEO_FRAME_PLANE_STRIDE(&frame, 0), GST_VIDEO_FRAME_WIDTH(&frame),
                          GST_VIDEO_FRAME_HEIGHT(&frame), RgbOrder::kRgb));
  gst_video_frame_unmap(&frame);
  return picture;
}

}  // namespace cliptag
