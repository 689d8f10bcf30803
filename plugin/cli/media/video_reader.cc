// Videos through GStreamer: filesrc ! decodebin ! videoconvert ! appsink. Frames that are not due
// are dropped before videoconvert, which passes every format through that a FrameView supports.
#include <gst/app/gstappsink.h>
#include <gst/gst.h>
#include <gst/video/video.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <mutex>
#include <string_view>
#include <utility>

#include "plugin/cli/media/gif_end.h"
#include "plugin/cli/media/mapped_frame.h"
#include "plugin/cli/media/media_reader.h"
#include "plugin/cli/media/playlists.h"
#include "plugin/gst/frame_view.h"
#include "plugin/gst/glib_order.h"
#include "plugin/gst/rate_schedule.h"

namespace cliptag {
namespace {

constexpr char kNothingToShow[] = "cliptag-no-video";

// "12.3"
std::string Seconds(double s) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.1f", s);
  return text;
}

// The time between two frames that are taken, in ns; 0 takes every frame.
guint64 PeriodOfRate(double fps) {
  constexpr double kLongest = 1e18;
  return fps > 0 ? std::max<guint64>(1, static_cast<guint64>(std::min(GST_SECOND / fps, kLongest)))
                 : 0;
}

class VideoReader : public MediaReader {
 public:
  VideoReader(std::string path, const MediaOptions& options)
      : path_(std::move(path)), stall_s_(options.stall_s), period_(PeriodOfRate(options.fps)) {}
  ~VideoReader() override;

  Status Start();
  Result<std::optional<MediaFrame>> Next() override;

 private:
  static VideoReader* From(gpointer self) {
    GlibAcquire(self);
    return static_cast<VideoReader*>(self);
  }
  static gboolean OnContinue(GstElement*, GstPad*, GstCaps* caps, gpointer self);
  static void OnPad(GstElement*, GstPad* pad, gpointer self);
  static void OnNoMorePads(GstElement*, gpointer self);
  static GstPadProbeReturn OnBuffer(GstPad* pad, GstPadProbeInfo* info, gpointer self);

  Status PopError();
  Status NothingToShow() const;
  Status ErrorFrom(GstMessage* message) const;
  Status CheckEnd() const;
  Orientation CurrentOrientation() const;
  Result<std::optional<MediaFrame>> FrameFrom(GstSample* sample);

  const std::string path_;
  const double stall_s_;
  const guint64 period_;
  GstElement* pipeline_ = nullptr;
  GstElement* convert_ = nullptr;
  GstAppSink* sink_ = nullptr;
  GstBus* bus_ = nullptr;
  std::string missing_decoder_;
  double duration_s_ = -1;

  // What the streaming threads have seen. A lock, not atomics: for ThreadSanitizer it also orders
  // callbacks after Start() and before the destructor.
  struct Seen {
    int64_t decoded = 0;        // frames
    std::string_view playlist;  // the kind of playlist that it is instead of a video
    bool video = false;
    bool other_streams = false;      // sound, subtitles
    bool duration_is_exact = false;  // the container stores it
    double end_s = 0;                // of the last frame decoded
    double last_s = 0;               // its start
    double longest_gap_s = 0;        // from the start of a frame to that of the next
  };
  Seen seen() const {
    std::lock_guard lock(mutex_);
    return seen_;
  }
  mutable std::mutex mutex_;
  Seen seen_;              // guarded by mutex_
  RateSchedule schedule_;  // guarded by mutex_
};

VideoReader::~VideoReader() {
  if (pipeline_) gst_element_set_state(pipeline_, GST_STATE_NULL);
  if (bus_) gst_object_unref(bus_);
  if (pipeline_) gst_object_unref(pipeline_);
  std::lock_guard after_the_last_callback(mutex_);
}

Status VideoReader::Start() {
  CLIPTAG_RETURN_IF_ERROR(InitGStreamer());
  pipeline_ = gst_pipeline_new(nullptr);
  bus_ = gst_element_get_bus(pipeline_);
  GstElement* parts[4];
  const char* const names[4] = {"filesrc", "decodebin", "videoconvert", "appsink"};
  for (int i = 0; i < 4; ++i) {
    parts[i] = gst_element_factory_make(names[i], nullptr);
    if (!parts[i]) {
      return Unsupported(std::string("videos need the GStreamer element '") + names[i] +
                         "': install GStreamer's base plugins");
    }
    gst_bin_add(GST_BIN(pipeline_), parts[i]);
  }
  GstElement* decode = parts[1];
  {
    std::lock_guard lock(mutex_);
    convert_ = parts[2];
  }
  sink_ = GST_APP_SINK(parts[3]);

  g_object_set(parts[0], "location", path_.c_str(), nullptr);
  const std::string caps_text = "video/x-raw, format=(string)" + SupportedFormatsCaps();
  GstCaps* caps = gst_caps_from_string(caps_text.c_str());
  gst_app_sink_set_caps(sink_, caps);
  gst_caps_unref(caps);
  constexpr guint kQueuedFrames = 2;
  gst_app_sink_set_max_buffers(sink_, kQueuedFrames);
  g_object_set(sink_, "sync", FALSE, nullptr);

  gst_element_link(parts[0], decode);
  gst_element_link(convert_, parts[3]);
  std::error_code unknown;
  EndGifs(decode, std::filesystem::file_size(path_, unknown));
  GlibRelease(this);  // from here on callbacks may come
  g_signal_connect(decode, "autoplug-continue", G_CALLBACK(OnContinue), this);
  RefuseReadingElsewhere(decode);
  g_signal_connect(decode, "pad-added", G_CALLBACK(OnPad), this);
  g_signal_connect(decode, "no-more-pads", G_CALLBACK(OnNoMorePads), this);
  GstPad* pad = gst_element_get_static_pad(convert_, "sink");
  gst_pad_add_probe(pad, GST_PAD_PROBE_TYPE_BUFFER, OnBuffer, this, nullptr);
  gst_object_unref(pad);

  if (gst_element_set_state(pipeline_, GST_STATE_PLAYING) == GST_STATE_CHANGE_FAILURE) {
    CLIPTAG_RETURN_IF_ERROR(PopError());
    return NotFound("cannot read '" + path_ + "'");
  }
  return {};
}

// Sound, subtitles and drawings (SVG) are not decoded: their pads are exposed undecoded and stay
// unlinked.
gboolean VideoReader::OnContinue(GstElement*, GstPad*, GstCaps* caps, gpointer self) {
  const std::string_view name = gst_structure_get_name(gst_caps_get_structure(caps, 0));
  VideoReader* const reader = From(self);
  if (const std::string_view playlist = PlaylistName(name); !playlist.empty()) {
    std::lock_guard lock(reader->mutex_);
    reader->seen_.playlist = playlist;
    return FALSE;  // expose the pad undecoded
  }
  if (name == "video/quicktime" || name == "video/webm" || name == "video/x-matroska") {
    std::lock_guard lock(reader->mutex_);
    reader->seen_.duration_is_exact = true;
  }
  return !(name.starts_with("audio/") || name.starts_with("text/") ||
           name.starts_with("subpicture/") || name == "image/svg+xml");
}

void VideoReader::OnPad(GstElement*, GstPad* pad, gpointer self) {
  GstCaps* caps = gst_pad_get_current_caps(pad);
  if (!caps) caps = gst_pad_query_caps(pad, nullptr);
  const bool video =
      gst_caps_get_size(caps) > 0 &&
      std::string_view(gst_structure_get_name(gst_caps_get_structure(caps, 0))) == "video/x-raw";
  gst_caps_unref(caps);
  VideoReader* const reader = From(self);
  std::unique_lock lock(reader->mutex_);
  GstPad* sink = gst_element_get_static_pad(reader->convert_, "sink");
  // The first video stream. Linking sends events through OnBuffer's pad, so not under the lock.
  const bool take = video && !reader->seen_.video;
  (take ? reader->seen_.video : reader->seen_.other_streams) = true;
  lock.unlock();
  if (take && GST_PAD_LINK_FAILED(gst_pad_link(pad, sink))) {
    lock.lock();
    reader->seen_.video = false;
  }
  gst_object_unref(sink);
}

void VideoReader::OnNoMorePads(GstElement* decode, gpointer self) {
  if (From(self)->seen().video) return;
  gst_element_post_message(
      decode,
      gst_message_new_application(GST_OBJECT(decode), gst_structure_new_empty(kNothingToShow)));
}

GstPadProbeReturn VideoReader::OnBuffer(GstPad* pad, GstPadProbeInfo* info, gpointer self) {
  GstBuffer* buffer = GST_PAD_PROBE_INFO_BUFFER(info);
  GstClockTime time = GST_CLOCK_TIME_NONE;
  GstEvent* event = gst_pad_get_sticky_event(pad, GST_EVENT_SEGMENT, 0);
  const bool timed = event && GST_BUFFER_PTS_IS_VALID(buffer);
  if (timed) {
    const GstSegment* segment = nullptr;
    gst_event_parse_segment(event, &segment);
    time = gst_segment_to_stream_time(segment, GST_FORMAT_TIME, GST_BUFFER_PTS(buffer));
  }
  if (event) gst_event_unref(event);

  VideoReader* const reader = From(self);
  std::lock_guard lock(reader->mutex_);
  Seen& seen = reader->seen_;
  ++seen.decoded;
  if (!timed) return GST_PAD_PROBE_OK;
  if (!GST_CLOCK_TIME_IS_VALID(time)) return GST_PAD_PROBE_DROP;  // outside the segment
  const double time_s = static_cast<double>(time) / GST_SECOND;
  const GstClockTime length =
      GST_BUFFER_DURATION_IS_VALID(buffer) ? GST_BUFFER_DURATION(buffer) : 0;
  const double length_s = static_cast<double>(length) / GST_SECOND;
  seen.end_s = std::max(seen.end_s, time_s + length_s);
  seen.longest_gap_s = std::max(seen.longest_gap_s, time_s - seen.last_s);
  seen.last_s = time_s;
  return reader->schedule_.TakeIfDue(time, reader->period_, length) ? GST_PAD_PROBE_OK
                                                                    : GST_PAD_PROBE_DROP;
}

// The error on the bus, if any.
Status VideoReader::PopError() {
  constexpr auto kTypes = static_cast<GstMessageType>(GST_MESSAGE_ERROR | GST_MESSAGE_ELEMENT |
                                                      GST_MESSAGE_APPLICATION);
  while (GstMessage* message = gst_bus_pop_filtered(bus_, kTypes)) {
    Status status;
    const GstStructure* structure = gst_message_get_structure(message);
    if (GST_MESSAGE_TYPE(message) == GST_MESSAGE_ERROR) {
      status = ErrorFrom(message);
    } else if (gst_structure_has_name(structure, kNothingToShow)) {
      status = NothingToShow();
    } else if (gst_structure_has_name(structure, "missing-plugin")) {
      const char* name = gst_structure_get_string(structure, "name");
      if (name && missing_decoder_.empty()) missing_decoder_ = name;
    }
    gst_message_unref(message);
    if (!status.ok()) return status;
  }
  return {};
}

Status VideoReader::NothingToShow() const {
  if (const std::string_view playlist = seen().playlist; !playlist.empty()) {
    return Unsupported("'" + path_ + "' is " + std::string(playlist) +
                       ", and cliptag fetches nothing that a file names: name the video itself");
  }
  return Unsupported("'" + path_ + "' holds no picture and no video" +
                     (missing_decoder_.empty() ? std::string()
                                               : " that can be decoded: GStreamer's " +
                                                     missing_decoder_ + " is not installed"));
}

Status VideoReader::ErrorFrom(GstMessage* message) const {
  GError* error = nullptr;
  gst_message_parse_error(message, &error, nullptr);
  const std::string reason = error ? error->message : "no reason given";
  g_clear_error(&error);
  if (!seen().playlist.empty()) return NothingToShow();
  if (!missing_decoder_.empty()) {
    return Unsupported("cannot decode '" + path_ + "': GStreamer's " + missing_decoder_ +
                       " is not installed");
  }
  const Seen seen = this->seen();
  if (!seen.video && seen.other_streams) {
    return Unsupported("'" + path_ + "' holds no picture and no video");
  }
  if (!seen.video) {
    return DataLoss("'" + path_ +
                    "' is neither a picture nor a video that can be decoded: " + reason);
  }
  return DataLoss("decoding '" + path_ + "' stopped at " + Seconds(seen.end_s) + " s: " + reason);
}

// Some demuxers end a truncated file without an error.
Status VideoReader::CheckEnd() const {
  // Sound may be longer than the video, and the durations of other containers are estimates. A
  // frame need not have a duration, and a slide show's last one may be long.
  const Seen seen = this->seen();
  if (!seen.duration_is_exact || seen.other_streams || seen.decoded < 2) return {};
  const double tolerated_s = std::max({1.0, 0.1 * duration_s_, 1.5 * seen.longest_gap_s});
  if (duration_s_ - seen.end_s <= tolerated_s) return {};
  return DataLoss("the video '" + path_ + "' is truncated: it ends at " + Seconds(seen.end_s) +
                  " s of " + Seconds(duration_s_) + " s");
}

Result<std::optional<MediaFrame>> VideoReader::Next() {
  constexpr GstClockTime kPoll = 50 * GST_MSECOND;  // how soon an error is noticed
  int64_t decoded = seen().decoded;
  for (double waited_s = 0;; waited_s += static_cast<double>(kPoll) / GST_SECOND) {
    if (GstSample* sample = gst_app_sink_try_pull_sample(sink_, kPoll)) {
      auto frame = FrameFrom(sample);
      gst_sample_unref(sample);
      return frame;
    }
    const bool ended = gst_app_sink_is_eos(sink_);
    CLIPTAG_RETURN_IF_ERROR(PopError());
    if (ended) {
      CLIPTAG_RETURN_IF_ERROR(CheckEnd());
      return std::optional<MediaFrame>();
    }
    if (const int64_t now = seen().decoded; now != decoded) {
      decoded = now;
      waited_s = 0;
    }
    if (waited_s >= stall_s_) {
      return DataLoss("'" + path_ + "' gives no " + (decoded ? "further " : "") +
                      "frame: it is truncated, or no video");
    }
  }
}

// The stream's tag wins over the file's.
Orientation VideoReader::CurrentOrientation() const {
  GstPad* pad = gst_element_get_static_pad(GST_ELEMENT(sink_), "sink");
  Orientation orientation = Orientation::kRotate0;
  bool of_stream = false;
  for (guint i = 0;; ++i) {
    GstEvent* event = gst_pad_get_sticky_event(pad, GST_EVENT_TAG, i);
    if (!event) break;
    GstTagList* tags = nullptr;
    gst_event_parse_tag(event, &tags);
    char* value = nullptr;
    if (!of_stream && gst_tag_list_get_string(tags, GST_TAG_IMAGE_ORIENTATION, &value)) {
      orientation = ParseOrientation(value);
      of_stream = gst_tag_list_get_scope(tags) == GST_TAG_SCOPE_STREAM;
      g_free(value);
    }
    gst_event_unref(event);
  }
  gst_object_unref(pad);
  return orientation;
}

Result<std::optional<MediaFrame>> VideoReader::FrameFrom(GstSample* sample) {
  gint64 duration = -1;
  if (gst_element_query_duration(pipeline_, GST_FORMAT_TIME, &duration)) {
    duration_s_ = static_cast<double>(duration) / GST_SECOND;
  }
  GstVideoInfo info;
  GstBuffer* decoded = gst_sample_get_buffer(sample);
  if (!decoded || !ReadVideoInfo(gst_sample_get_caps(sample), &info)) {
    return Internal("'" + path_ + "' gave a frame without a format");
  }
  // Copied, because a decoder's pool may be fixed and batches and queues would drain it. The cost
  // is small at about a frame per second of video.
  Result<MediaFrame> mapped = MapFrame(gst_buffer_copy_deep(decoded), info, CurrentOrientation());
  if (!mapped.ok()) {
    return Unsupported("cannot read a frame of '" + path_ + "': " + mapped.status().message());
  }
  MediaFrame frame = std::move(*mapped);
  const GstClockTime time = gst_segment_to_stream_time(gst_sample_get_segment(sample),
                                                       GST_FORMAT_TIME, GST_BUFFER_PTS(decoded));
  frame.time_s = GST_CLOCK_TIME_IS_VALID(time) ? static_cast<double>(time) / GST_SECOND : 0.0;
  return std::optional<MediaFrame>(std::move(frame));
}

}  // namespace

Result<std::unique_ptr<MediaReader>> OpenVideo(const std::string& path,
                                               const MediaOptions& options) {
  auto reader = std::make_unique<VideoReader>(path, options);
  CLIPTAG_RETURN_IF_ERROR(reader->Start());
  return std::unique_ptr<MediaReader>(std::move(reader));
}

}  // namespace cliptag
