// Events and queries: kept in order with the frames, answered for what is held here.
#include <algorithm>
#include <cstdlib>
#include <optional>
#include <utility>

#include "plugin/elements/cliptag/clip_tag.h"
#include "plugin/elements/cliptag/gstcliptag.h"
#include "plugin/gst/frame_view.h"
#include "plugin/gst/glib_order.h"

namespace cliptag {
namespace {

// Frames of which a live stream keeps the pixels: one that waits for the engine, one that is in it.
constexpr guint kHeldLive = 2;

bool IsOfCudaMemory(const GstCapsFeatures* features) {
  return !gst_caps_features_is_any(features) &&
         gst_caps_features_contains(features, kCudaMemoryFeature);
}

}  // namespace

bool IsInCudaMemory(const GstCaps* caps) {
  return gst_caps_get_size(caps) > 0 && IsOfCudaMemory(gst_caps_get_features(caps, 0));
}

bool ClipTag::SinkEvent(GstEvent* raw) {
  EventPtr event(raw);
  std::optional<GlibTurn> turn;
  if (GST_EVENT_IS_SERIALIZED(raw)) turn.emplace(this);  // FLUSH_STOP is
  switch (GST_EVENT_TYPE(raw)) {
    case GST_EVENT_FLUSH_START:
      FlushStart(event.release());
      return true;
    case GST_EVENT_FLUSH_STOP:
      FlushStop(event.release());
      return true;
    case GST_EVENT_CAPS:
      if (!TakeCaps(raw)) return false;
      break;
    case GST_EVENT_SEGMENT:
      TakeSegment(raw);
      queue_.ResumeFrom(GST_FLOW_EOS);
      break;
    case GST_EVENT_STREAM_START:
      liveness_ = Liveness::kUnknown;
      stream_orientation_.reset();
      global_orientation_.reset();
      queue_.ResumeFrom(GST_FLOW_EOS);
      break;
    case GST_EVENT_TAG:
      TakeTags(raw);
      break;
    case GST_EVENT_EOS:
      if (stream_) stream_->Hurry();
      WaitForLive();
      live_.Forget();  // what may come behind the end begins anew
      intervals_ = 0;
      schedule_.Reset();
      break;
    default:
      break;
  }
  if (!GST_EVENT_IS_SERIALIZED(raw)) return gst_pad_push_event(src_pad_, event.release());
  const GstFlowReturn flow = queue_.flow();
  if (GST_EVENT_TYPE(raw) == GST_EVENT_EOS &&
      (flow == GST_FLOW_NOT_LINKED || flow < GST_FLOW_EOS)) {
    GST_ELEMENT_FLOW_ERROR(element_, flow);
    return false;
  }
  if (queue_.IsIdle()) return PushEvent(std::move(event));
  Item item;
  item.event = std::move(event);
  return queue_.Add(std::move(item));
}

void ClipTag::FlushStart(GstEvent* event) {
  queue_.Stop(GST_FLOW_FLUSHING);
  gst_pad_push_event(src_pad_, event);
  gst_pad_pause_task(src_pad_);  // waits until what it was pushing has come back
  FlushEngine();
  live_.Drop();
}

void ClipTag::FlushStop(GstEvent* event) {
  gst_pad_push_event(src_pad_, event);
  FlushEngine();  // again: a frame may have been on its way in when the flush started
  live_.Drop();
  EndActiveTags();
  last_told_.reset();
  gst_segment_init(&segment_, GST_FORMAT_UNDEFINED);
  ResetCounters();
  const std::lock_guard lock(control_mutex_);
  if (!src_active_) return;
  queue_.Reset();
  StartTask();
}

void ClipTag::FlushEngine() {
  const std::lock_guard lock(control_mutex_);
  if (stream_) stream_->Flush();
}

void ClipTag::ForgetStream() {
  gst_video_info_init(&info_);
  have_info_ = false;
  gst_segment_init(&segment_, GST_FORMAT_UNDEFINED);
  stream_orientation_.reset();
  global_orientation_.reset();
}

void ClipTag::ResetCounters() {
  next_frame_ = 0;
  clock_.Reset();
  intervals_ = 0;
  schedule_.Reset();
  since_hurry_ = 0;
  seen_pool_ = nullptr;
  seen_pool_max_ = 0;
  last_looked_ns_ = GST_CLOCK_TIME_NONE;
  late_until_ = 0;
  still_.Forget();
  live_.Forget();
  rate_since_us_ = 0;
}

bool ClipTag::TakeCaps(GstEvent* event) {
  GstCaps* caps = nullptr;
  gst_event_parse_caps(event, &caps);
  const int width = have_info_ ? info_.width : 0, height = have_info_ ? info_.height : 0;
  have_info_ = ReadVideoInfo(caps, &info_);
  if (!have_info_) {
    GST_ERROR_OBJECT(element_, "not raw video: %" GST_PTR_FORMAT, caps);
    return false;
  }
  if (width > 0 && (width != info_.width || height != info_.height)) {
    // The regions of older tags are of other pixels: no frame of this size gets them.
    live_.Forget();
    still_.Forget();
  }
  in_cuda_memory_ = IsInCudaMemory(caps);
  seen_pool_ = nullptr;  // a new one may come to lie at the same address
  seen_pool_max_ = 0;
  return true;
}

void ClipTag::TakeSegment(GstEvent* event) {
  gst_event_copy_segment(event, &segment_);
  // All else goes on, since running time does: schedules, tags, the picture that is still the same.
  next_frame_ = 0;
  late_until_ = 0;
}

void ClipTag::TakeTags(GstEvent* event) {
  GstTagList* tags = nullptr;
  gst_event_parse_tag(event, &tags);
  gchar* value = nullptr;
  if (!gst_tag_list_get_string(tags, GST_TAG_IMAGE_ORIENTATION, &value)) return;
  // The stream's own tag wins over the container's, as in videoflip.
  (gst_tag_list_get_scope(tags) == GST_TAG_SCOPE_STREAM ? stream_orientation_
                                                        : global_orientation_) =
      ParseOrientation(value);
  g_free(value);
}

bool ClipTag::SrcEvent(GstEvent* event) {
  if (GST_EVENT_TYPE(event) == GST_EVENT_QOS) {
    TakeQos(event);
    // Decoders and converters before this element would leave out frames, which nobody looks at.
    if (!HeedsQos()) {
      gst_event_unref(event);
      return true;
    }
  }
  // Not linked until now, perhaps: try again.
  if (GST_EVENT_TYPE(event) == GST_EVENT_RECONFIGURE) queue_.ResumeFrom(GST_FLOW_NOT_LINKED);
  return gst_pad_push_event(sink_pad_, event);
}

bool ClipTag::HeedsQos() const {
  const std::lock_guard lock(settings_mutex_);
  const FrameSettings& frame = settings_.frame;
  return frame.qos || frame.mode == Mode::kLive ||
         (frame.mode == Mode::kAuto && liveness_ != Liveness::kNot);
}

// As base classes of GStreamer take it: what is late by some is likely to be late by twice that.
void ClipTag::TakeQos(GstEvent* event) {
  GstClockTimeDiff jitter = 0;
  GstClockTime timestamp = 0;
  gst_event_parse_qos(event, nullptr, nullptr, &jitter, &timestamp);
  if (!GST_CLOCK_TIME_IS_VALID(timestamp)) return;
  late_until_ = jitter > 0 ? timestamp + 2 * static_cast<guint64>(jitter) : 0;
}

bool ClipTag::SinkQuery(GstQuery* query) {
  if (GST_QUERY_TYPE(query) == GST_QUERY_ACCEPT_CAPS) {
    GstCaps* caps = nullptr;
    gst_query_parse_accept_caps(query, &caps);
    ExplainMemory(caps, /*post=*/true);
    if (IsInCudaMemory(caps) && !TakesCuda()) {
      gst_query_set_accept_caps_result(query, FALSE);
      return true;
    }
  } else if (GST_QUERY_TYPE(query) == GST_QUERY_CAPS) {
    GstCaps* filter = nullptr;
    gst_query_parse_caps(query, &filter);
    ExplainMemory(filter, /*post=*/false);
    return QueryCaps(sink_pad_, query);
  } else if (GST_QUERY_TYPE(query) == GST_QUERY_CONTEXT && cuda_.AnswerContextQuery(query)) {
    return true;
  } else if (GST_QUERY_IS_SERIALIZED(query)) {
    // Everything before it goes out first. No more can come in meanwhile: the pad's stream lock is
    // held.
    if (stream_) stream_->Hurry();
    if (!queue_.WaitIdle()) return false;
    const bool answered = gst_pad_peer_query(src_pad_, query);
    return GST_QUERY_TYPE(query) == GST_QUERY_ALLOCATION ? Allocation(query) || answered : answered;
  }
  return gst_pad_query_default(sink_pad_, GST_OBJECT(element_), query);
}

bool ClipTag::TakesCuda() const {
  const CudaUse use = cuda_use_;
  if (use != CudaUse::kUndecided) return use == CudaUse::kYes;
  return CudaFrames::Available() && MayUseCuda(settings().fixed.backend);
}

// The templates have CUDA memory wherever the build knows it; what runs decides whether it is read.
bool ClipTag::QueryCaps(GstPad* pad, GstQuery* query) {
  if (!gst_pad_query_default(pad, GST_OBJECT(element_), query)) return false;
  if (TakesCuda()) return true;
  GstCaps* caps = nullptr;
  gst_query_parse_caps_result(query, &caps);
  if (caps == nullptr || gst_caps_is_any(caps)) return true;
  GstCaps* without = gst_caps_copy(caps);
  gst_caps_filter_and_map_in_place(
      without,
      [](GstCapsFeatures* features, GstStructure*, gpointer) -> gboolean {
        return !IsOfCudaMemory(features);
      },
      nullptr);
  gst_query_set_caps_result(query, without);
  gst_caps_unref(without);
  return true;
}

// Downstream has answered, or not: what it can read (GstVideoMeta, GstVideoCropMeta, …) is what may
// be sent through here in place; what it cannot read must not be promised in its name. To its
// buffers come those that are held here.
bool ClipTag::Allocation(GstQuery* query) {
  FrameSettings frame;
  {
    const std::lock_guard lock(settings_mutex_);
    frame = settings_.frame;
  }
  seen_pool_max_ = 0;
  const guint held = IsLive(frame.mode) ? kHeldLive : static_cast<guint>(Bound(frame));
  const guint pools = gst_query_get_n_allocation_pools(query);
  for (guint i = 0; i < pools; ++i) {
    GstBufferPool* pool = nullptr;
    guint size = 0, min = 0, max = 0;
    gst_query_parse_nth_allocation_pool(query, i, &pool, &size, &min, &max);
    min += held;
    if (max > 0) min = std::min(min, max);  // then Bound() adapts to what there is
    gst_query_set_nth_allocation_pool(query, i, pool, size, min, max);
    if (pool != nullptr) gst_object_unref(pool);
  }
  if (pools == 0) {
    GstCaps* caps = nullptr;
    gst_query_parse_allocation(query, &caps, nullptr);
    GstVideoInfo info;
    if (caps == nullptr || !gst_video_info_from_caps(&info, caps)) return false;
    guint size = static_cast<guint>(GST_VIDEO_INFO_SIZE(&info));
    // Memory that nobody downstream has an opinion on is best in the context that reads it here.
    GstBufferPool* pool = IsInCudaMemory(caps) ? cuda_.NewPool(caps, held, 0, &size) : nullptr;
    gst_query_add_allocation_pool(query, pool, size, held, 0);
    if (pool != nullptr) gst_object_unref(pool);
  }
  return true;
}

bool ClipTag::SrcQuery(GstQuery* query) {
  if (GST_QUERY_TYPE(query) == GST_QUERY_LATENCY) return Latency(query);
  if (GST_QUERY_TYPE(query) == GST_QUERY_CAPS) return QueryCaps(src_pad_, query);
  if (GST_QUERY_TYPE(query) == GST_QUERY_CONTEXT && cuda_.AnswerContextQuery(query)) return true;
  return gst_pad_query_default(src_pad_, GST_OBJECT(element_), query);
}

guint64 ClipTag::OwnLatency() const {
  guint64 timeout = 0;
  {
    const std::lock_guard lock(settings_mutex_);
    const Mode mode = settings_.frame.mode;
    if (mode == Mode::kLive || (mode == Mode::kAuto && liveness_ == Liveness::kLive)) return 0;
    timeout = settings_.frame.batch_timeout_ns;
  }
  const std::lock_guard lock(control_mutex_);
  return engine_ ? timeout + engine_->expected_latency_ns() : 0;
}

bool ClipTag::Latency(GstQuery* query) {
  if (!gst_pad_peer_query(sink_pad_, query)) return false;
  gboolean live = FALSE;
  GstClockTime min = 0, max = 0;
  gst_query_parse_latency(query, &live, &min, &max);
  liveness_ = live ? Liveness::kLive : Liveness::kNot;
  if (!live) return true;
  const guint64 own = OwnLatency();
  reported_latency_ = own;
  min += own;
  if (GST_CLOCK_TIME_IS_VALID(max)) max += own;  // what waits here is held here
  gst_query_set_latency(query, live, min, max);
  return true;
}

void ClipTag::LatencyMayHaveChanged() {
  const guint64 reported = reported_latency_;
  if (!GST_CLOCK_TIME_IS_VALID(reported)) return;
  const guint64 own = OwnLatency();
  const guint64 difference = own > reported ? own - reported : reported - own;
  if (difference <= std::max<guint64>(5 * GST_MSECOND, reported / 8)) return;
  reported_latency_ = own;
  gst_element_post_message(element_, gst_message_new_latency(GST_OBJECT(element_)));
}

void ClipTag::ExplainMemory(const GstCaps* caps, bool post) {
  if (caps == nullptr || gst_caps_is_any(caps)) return;
  const GstCapsFeatures* foreign = nullptr;
  for (guint i = 0; i < gst_caps_get_size(caps); ++i) {
    const GstCapsFeatures* features = gst_caps_get_features(caps, i);
    if (gst_caps_features_is_any(features)) return;
    if (gst_caps_features_is_equal(features, GST_CAPS_FEATURES_MEMORY_SYSTEM_MEMORY)) return;
    if (IsOfCudaMemory(features) && TakesCuda()) return;
    foreign = features;
  }
  if (foreign == nullptr) return;
  gchar* name = gst_caps_features_to_string(foreign);
  const char* recipe =
      "put \"vapostproc ! video/x-raw\" (VA, DMABuf), \"gldownload\" (GL) or \"cudadownload\" "
      "(CUDA, unless the GPU computes: backend=cuda) before cliptag; \"format:Interlaced\" needs "
      "deinterlace";
  GST_WARNING_OBJECT(element_, "frames in %s cannot be looked at: %s", name, recipe);
  if (post && !told_memory_.exchange(true)) {
    GST_ELEMENT_WARNING(
        element_, STREAM, FORMAT,
        ("Frames in %s are refused, since cliptag looks at frames in ordinary memory: %s.", name,
         recipe),
        (nullptr));
  }
  g_free(name);
}

}  // namespace cliptag
