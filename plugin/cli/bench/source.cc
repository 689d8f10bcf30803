#include "plugin/cli/bench/source.h"

#include <gst/base/gstpushsrc.h>

#include <algorithm>

namespace {

struct CliptagBenchSource {
  GstPushSrc parent;
  cliptag::BenchFeed* feed;
};
struct CliptagBenchSourceClass {
  GstPushSrcClass parent_class;
};

G_DEFINE_TYPE(CliptagBenchSource, cliptag_bench_source, GST_TYPE_PUSH_SRC)

CliptagBenchSource* Self(gpointer instance) {
  return reinterpret_cast<CliptagBenchSource*>(instance);
}

// Of the `n`th frame.
guint64 TimeOf(const cliptag::BenchFeed& feed, guint64 n) {
  return feed.phase_ns + gst_util_uint64_scale(n, GST_SECOND * static_cast<guint64>(feed.fps_d),
                                               static_cast<guint64>(feed.fps_n));
}

guint64 RunningTime(GstElement* element) {
  GstClock* clock = gst_element_get_clock(element);
  if (clock == nullptr) return 0;
  const GstClockTime now = gst_clock_get_time(clock), base = gst_element_get_base_time(element);
  gst_object_unref(clock);
  return now > base ? now - base : 0;
}

// What has passed before the source came to it was seen by nobody, as with a camera.
guint64 NextFrame(const cliptag::BenchFeed& feed, guint64 now) {
  const guint64 ours = feed.next_frame, next = std::max(ours, feed.first_frame);
  if (!feed.live || ours > 0 || TimeOf(feed, next) >= now) return next;
  return gst_util_uint64_scale_ceil(now - feed.phase_ns, static_cast<guint64>(feed.fps_n),
                                    GST_SECOND * static_cast<guint64>(feed.fps_d));
}

// GstBaseSrc would wait too, but takes the first frame's time for now. False: flushed or stopped.
bool WaitFor(CliptagBenchSource* self, guint64 running_time) {
  GstElement* element = GST_ELEMENT(self);
  GstClock* clock = gst_element_get_clock(element);
  if (clock == nullptr) return false;
  GstClockID id =
      gst_clock_new_single_shot_id(clock, gst_element_get_base_time(element) + running_time);
  gst_object_unref(clock);
  cliptag::BenchFeed& feed = *self->feed;
  bool go_on = false;
  {
    const std::lock_guard lock(feed.mutex);
    go_on = !feed.unlocked;
    if (go_on) feed.waits_for = id;
  }
  if (go_on) go_on = gst_clock_id_wait(id, nullptr) != GST_CLOCK_UNSCHEDULED;
  {
    const std::lock_guard lock(feed.mutex);
    feed.waits_for = nullptr;
  }
  gst_clock_id_unref(id);
  return go_on;
}

GstFlowReturn cliptag_bench_source_create(GstPushSrc* source, GstBuffer** out) {
  const cliptag::BenchTurn turn;
  CliptagBenchSource* self = Self(source);
  cliptag::BenchFeed& feed = *self->feed;
  const guint64 now = RunningTime(GST_ELEMENT(source));
  const guint64 n = NextFrame(feed, now);
  const guint64 pts = TimeOf(feed, n), taken = feed.live ? pts : now;
  if (feed.live && !WaitFor(self, pts)) return GST_FLOW_FLUSHING;
  if (feed.window->Ends(taken)) return GST_FLOW_EOS;
  feed.next_frame = n + 1;

  const auto& pictures = feed.pictures->bytes;
  const auto& bytes = pictures[(feed.first_picture + n) % pictures.size()];
  const gsize size = feed.broken ? bytes.size() / 2 : bytes.size();
  // A memory of its own for each frame: sharing one would meet GStreamer's limit of 255 mappings.
  GstMemory* memory =
      gst_memory_new_wrapped(GST_MEMORY_FLAG_READONLY, const_cast<guint8*>(bytes.data()),
                             bytes.size(), 0, size, nullptr, nullptr);
  GstBuffer* buffer = gst_buffer_new();
  gst_buffer_append_memory(buffer, memory);
  GST_BUFFER_PTS(buffer) = pts;
  GST_BUFFER_DURATION(buffer) = TimeOf(feed, n + 1) - pts;
  GST_BUFFER_OFFSET(buffer) = n;
  ++feed.pushed;
  if (!feed.never_counts && feed.window->Holds(taken)) {
    ++feed.counted;
    GST_BUFFER_FLAG_SET(buffer, GST_BUFFER_FLAG_MARKER);
  }
  *out = buffer;
  return GST_FLOW_OK;
}

gboolean cliptag_bench_source_unlock(GstBaseSrc* source) {
  const cliptag::BenchTurn turn;
  cliptag::BenchFeed& feed = *Self(source)->feed;
  const std::lock_guard lock(feed.mutex);
  feed.unlocked = true;
  if (feed.waits_for != nullptr) gst_clock_id_unschedule(feed.waits_for);
  return TRUE;
}

gboolean cliptag_bench_source_unlock_stop(GstBaseSrc* source) {
  const cliptag::BenchTurn turn;
  cliptag::BenchFeed& feed = *Self(source)->feed;
  const std::lock_guard lock(feed.mutex);
  feed.unlocked = false;
  return TRUE;
}

GstCaps* cliptag_bench_source_get_caps(GstBaseSrc* source, GstCaps* filter) {
  const cliptag::BenchTurn turn;
  const cliptag::BenchFeed* feed = Self(source)->feed;
  if (feed == nullptr) return gst_caps_new_any();
  GstVideoInfo info = feed->pictures->info;
  info.fps_n = feed->fps_n;
  info.fps_d = feed->fps_d;
  GstCaps* caps = gst_video_info_to_caps(&info);
  if (filter == nullptr) return caps;
  GstCaps* both = gst_caps_intersect_full(filter, caps, GST_CAPS_INTERSECT_FIRST);
  gst_caps_unref(caps);
  return both;
}

gboolean cliptag_bench_source_start(GstBaseSrc* source) {
  const cliptag::BenchTurn turn;
  Self(source)->feed->next_frame = 0;
  return TRUE;
}

gboolean cliptag_bench_source_is_seekable(GstBaseSrc*) { return TRUE; }

// Wherever to: what comes is what the camera sees now.
gboolean cliptag_bench_source_do_seek(GstBaseSrc* source, GstSegment*) {
  const cliptag::BenchTurn turn;
  Self(source)->feed->next_frame = 0;
  return TRUE;
}

void cliptag_bench_source_class_init(CliptagBenchSourceClass* klass) {
  auto* element_class = GST_ELEMENT_CLASS(klass);
  GstCaps* caps = gst_caps_new_empty_simple("video/x-raw");
  gst_element_class_add_pad_template(
      element_class, gst_pad_template_new("src", GST_PAD_SRC, GST_PAD_ALWAYS, caps));
  gst_caps_unref(caps);
  gst_element_class_set_static_metadata(element_class, "Benchmark source", "Source/Video",
                                        "Pushes prepared pictures", "the cliptag authors");
  GST_PUSH_SRC_CLASS(klass)->create = cliptag_bench_source_create;
  auto* base_class = GST_BASE_SRC_CLASS(klass);
  base_class->unlock = cliptag_bench_source_unlock;
  base_class->unlock_stop = cliptag_bench_source_unlock_stop;
  base_class->get_caps = cliptag_bench_source_get_caps;
  base_class->start = cliptag_bench_source_start;
  base_class->is_seekable = cliptag_bench_source_is_seekable;
  base_class->do_seek = cliptag_bench_source_do_seek;
}

void cliptag_bench_source_init(CliptagBenchSource* self) {
  self->feed = nullptr;
  gst_base_src_set_format(GST_BASE_SRC(self), GST_FORMAT_TIME);
}

}  // namespace

namespace cliptag {

GstElement* MakeBenchSource(BenchFeed* feed) {
  auto* element = GST_ELEMENT(g_object_new(cliptag_bench_source_get_type(), nullptr));
  Self(element)->feed = feed;
  gst_base_src_set_live(GST_BASE_SRC(element), feed->live);
  return element;
}

}  // namespace cliptag
