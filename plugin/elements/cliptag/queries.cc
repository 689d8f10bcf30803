// Queries: answered for what is held here.
#include <algorithm>
#include <string>

#include "plugin/elements/cliptag/clip_tag.h"
#include "plugin/elements/cliptag/gstcliptag.h"
#include "plugin/elements/cliptag/input/memory_caps.h"

namespace cliptag {
namespace {

// Frames of which a live stream keeps the pixels: one that waits for the engine, one that is in it.
constexpr guint kHeldLive = 2;

}  // namespace

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
  if (!TakesCuda()) RemoveCudaMemory(query);
  return true;
}

// Downstream has answered, or not: what it can read (GstVideoMeta, GstVideoCropMeta, …) is what may
// be sent through here in place; what it cannot read must not be promised in its name. To its
// buffers come those that are held here.
bool ClipTag::Allocation(GstQuery* query) {
  const FrameSettings frame = frame_settings();
  pool_.Forget();
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
    // Downstream proposes no pool: memory in the context that reads it here is best.
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
  const FrameSettings frame = frame_settings();
  if (frame.mode == Mode::kLive || (frame.mode == Mode::kAuto && liveness_ == Liveness::kLive))
    return 0;
  const std::lock_guard lock(control_mutex_);
  return engine_ ? frame.batch_timeout_ns + engine_->expected_latency_ns() : 0;
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
  const std::string memory = UnreadableMemory(caps, TakesCuda());
  if (memory.empty()) return;
  const char* recipe =
      "put \"vapostproc ! video/x-raw\" (VA, DMABuf), \"gldownload\" (GL) or \"cudadownload\" "
      "(CUDA, unless the GPU computes: backend=cuda) before cliptag; \"format:Interlaced\" needs "
      "deinterlace";
  GST_WARNING_OBJECT(element_, "frames in %s cannot be read: %s", memory.c_str(), recipe);
  if (!post || warned_memory_.exchange(true)) return;
  GST_ELEMENT_WARNING(
      element_, STREAM, FORMAT,
      ("Frames in %s are refused, since cliptag reads frames in ordinary memory: %s.",
       memory.c_str(), recipe),
      (nullptr));
}

}  // namespace cliptag
