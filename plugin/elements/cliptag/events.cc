// Events: kept in order with the frames.
#include <optional>
#include <utility>

#include "plugin/elements/cliptag/clip_tag.h"
#include "plugin/elements/cliptag/gstcliptag.h"
#include "plugin/gst/glib_order.h"

namespace cliptag {

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
      // All else goes on, since running time does: schedules, tags, the picture that is still the
      // same.
      gst_event_copy_segment(raw, &segment_);
      next_frame_ = 0;
      pacer_.OnSegment();
      queue_.ResumeFrom(GST_FLOW_EOS);
      break;
    case GST_EVENT_STREAM_START:
      liveness_ = Liveness::kUnknown;
      reader_.ForgetTags();
      queue_.ResumeFrom(GST_FLOW_EOS);
      break;
    case GST_EVENT_TAG:
      reader_.TakeTags(raw);
      break;
    case GST_EVENT_EOS:
      if (stream_) stream_->Hurry();
      WaitForLive();
      live_.Forget();  // what may come after the end starts without tags
      pacer_.OnEos();
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
  publisher_.EndActive(publish_options());
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

void ClipTag::ResetCounters() {
  next_frame_ = 0;
  clock_.Reset();
  pacer_.OnFlush();
  rate_.OnFlush();
  since_hurry_ = 0;
  pool_.Forget();
  still_.Forget();
  live_.Forget();
}

bool ClipTag::TakeCaps(GstEvent* event) {
  const FrameReader::Caps caps = reader_.TakeCaps(event);
  if (caps == FrameReader::Caps::kRefused) {
    GST_ERROR_OBJECT(element_, "not raw video: %" GST_PTR_FORMAT, event);
    return false;
  }
  if (caps == FrameReader::Caps::kOtherSize) {
    // The regions of older tags are of other pixels: no frame of this size gets them.
    live_.Forget();
    still_.Forget();
  }
  pool_.Forget();
  return true;
}

bool ClipTag::SrcEvent(GstEvent* event) {
  if (GST_EVENT_TYPE(event) == GST_EVENT_QOS) {
    pacer_.OnQos(event);
    // Decoders and converters before this element would drop frames too.
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
  const FrameSettings frame = frame_settings();
  return frame.qos || frame.mode == Mode::kLive ||
         (frame.mode == Mode::kAuto && liveness_ != Liveness::kNot);
}

}  // namespace cliptag
