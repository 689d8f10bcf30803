// Frames: in at Chain(), out at Loop(), or straight through when there is nothing to wait for.
#include <algorithm>
#include <utility>

#include "kernels/base/plain_text.h"
#include "plugin/elements/cliptag/clip_tag.h"
#include "plugin/elements/cliptag/gstcliptag.h"
#include "plugin/elements/meta/meta.h"
#include "plugin/gst/glib_order.h"

namespace cliptag {
namespace {

// Frames held beyond a full batch, so that the next batch fills while one is computed.
constexpr size_t kMostFramesAhead = 8;

}  // namespace

GstFlowReturn ClipTag::Chain(GstBuffer* raw) {
  BufferPtr buffer(raw);
  const GlibTurn turn(this);
  GstFlowReturn flow = queue_.flow();
  if (flow != GST_FLOW_OK) return flow;
  if (!reader_.has_caps()) return GST_FLOW_NOT_NEGOTIATED;
  const FrameSettings frame = frame_settings();
  ++frames_in_;
  pool_.See(buffer.get());
  const guint64 running_time =
      segment_.format == GST_FORMAT_TIME
          ? gst_segment_to_running_time(&segment_, GST_FORMAT_TIME, GST_BUFFER_PTS(buffer.get()))
          : GST_CLOCK_TIME_NONE;
  const guint64 duration = reader_.DurationOf(buffer.get());
  const FrameTime at{next_frame_++, clock_.Next(running_time, duration)};
  const bool live = IsLive(frame.mode);
  const bool due = pacer_.Take(frame, live || frame.qos, {running_time, at.time, duration});
  if (live) return ChainLive(std::move(buffer), frame, at, due);
  MeasureRate();
  if (!due && queue_.IsIdle()) return gst_pad_push(src_pad_, buffer.release());
  if (due) flow = WaitForPrompts();
  if (flow == GST_FLOW_OK) flow = WaitForRoom(frame);
  if (flow != GST_FLOW_OK) return flow;
  Item item;
  if (due) {
    item.held = Hold(std::move(buffer), frame, at.time, &item);
  } else {
    item.buffer = std::move(buffer);
  }
  const std::shared_ptr<HeldFrame> held = item.held;
  // Into the queue first: the answer may come before Submit() returns.
  if (!queue_.Add(std::move(item))) return queue_.flow();
  if (!held) return GST_FLOW_OK;
  InferenceRequest request = RequestFor(*held, frame, at.frame_number);
  request.done = [this, held](InferenceResult result) {
    if (!result.status.ok()) forget_still_ = true;
    queue_.Complete(*held, std::move(result));
  };
  Submit(std::move(request), frame);
  return GST_FLOW_OK;
}

GstFlowReturn ClipTag::WaitForPrompts() {
  using State = PromptsController::State;
  const auto decided = [this] {
    const State state = prompts_.state();  // while it is kFailing, the error is not posted yet
    return state == State::kReady || state == State::kFailed;
  };
  if (!queue_.WaitUntil(decided)) return queue_.flow();
  return prompts_.state() == State::kReady ? GST_FLOW_OK : GST_FLOW_ERROR;
}

// When there is no room, no further frame of ours can join the batch: it does not wait for its
// deadline.
GstFlowReturn ClipTag::WaitForRoom(const FrameSettings& frame) {
  return queue_.WaitForRoom(Bound(frame), [this] { stream_->Hurry(); });
}

size_t ClipTag::Bound(const FrameSettings& frame) const {
  size_t batch = engine_batch_;
  if (frame.max_batch > 0) batch = std::min<size_t>(batch, frame.max_batch);
  return std::min(batch + std::min(batch, kMostFramesAhead), pool_.most_held());
}

std::shared_ptr<HeldFrame> ClipTag::Hold(BufferPtr buffer, const FrameSettings& frame, guint64 time,
                                         Item* item) {
  auto held = std::make_shared<HeldFrame>();
  const Status status = reader_.Read(std::move(buffer), frame.orientation, held.get());
  if (!status.ok()) {
    if (!std::exchange(warned_not_mappable_, true)) {
      GST_ELEMENT_WARNING(element_, STREAM, FORMAT,
                          ("%s It passes without tags.", PlainSentence(status.message()).c_str()),
                          (nullptr));
    }
    item->buffer = held->TakeBuffer();
    return nullptr;
  }
  if (segment_.format == GST_FORMAT_TIME) {
    held->stream_time =
        gst_segment_to_stream_time(&segment_, GST_FORMAT_TIME, GST_BUFFER_PTS(held->buffer()));
  }
  held->time = time;
  held->still = IsStill(frame, *held);
  return held;
}

bool ClipTag::IsStill(const FrameSettings& frame, const HeldFrame& held) {
  if (forget_still_.exchange(false)) still_.Forget();
  if (frame.still_threshold <= 0) still_.Forget();
  return frame.still_threshold > 0 && held.view.memory == FrameMemory::kHost &&
         still_.Check(held.view, frame.still_threshold);
}

InferenceRequest ClipTag::RequestFor(HeldFrame& held, const FrameSettings& frame,
                                     guint64 frame_number) {
  InferenceRequest request;
  request.frame = held.view;
  request.fit = frame.fit;
  request.tiles = frame.tiles;
  request.tile_rows = static_cast<int>(frame.tile_rows);
  request.regions = frame.regions;
  if (frame.regions != Regions::kFrame) request.objects = ObjectsOf(held.buffer());
  request.at.time_ns = held.time;
  const GstBuffer* buffer = held.buffer();
  request.at.pts_ns = GST_BUFFER_PTS_IS_VALID(buffer) ? GST_BUFFER_PTS(buffer) : held.time;
  request.still = held.still;
  request.frame_number = frame_number;
  request.batch_timeout_ns = frame.batch_timeout_ns;
  return request;
}

void ClipTag::Submit(InferenceRequest request, const FrameSettings& frame) {
  const bool still = request.still;
  InferenceResult failed;
  failed.frame_number = request.frame_number;
  const auto done = request.done;
  failed.status = stream_->Submit(std::move(request));
  if (!failed.status.ok()) return done(std::move(failed));
  if (!still) rate_.Due();
  // A max-batch that has been lowered since the engine was made.
  if (frame.max_batch > 0 && frame.max_batch < engine_batch_ && ++since_hurry_ >= frame.max_batch) {
    since_hurry_ = 0;
    stream_->Hurry();
  }
}

void ClipTag::Loop() {
  Item item;
  if (!queue_.Take(&item)) {
    gst_pad_pause_task(src_pad_);  // flushed or stopped; both start it again when there is more
    return;
  }
  GstFlowReturn flow = GST_FLOW_OK;
  try {
    if (item.answers) {
      PublishArrived();
    } else if (item.event) {
      PushEvent(std::move(item.event));
    } else {
      BufferPtr buffer = item.held ? Deliver(*item.held) : std::move(item.buffer);
      item.held.reset();
      flow = gst_pad_push(src_pad_, buffer.release());
    }
  } catch (...) {  // those that wait for the queue have to learn of it, too
    queue_.Pushed(GST_FLOW_ERROR);
    throw;
  }
  queue_.Pushed(flow);
  if (flow != GST_FLOW_OK) FailIfEosWaits(flow);
}

ResultContext ClipTag::ContextOf(const HeldFrame& held) const {
  ResultContext context;
  context.pts = GST_BUFFER_PTS(held.buffer());
  context.stream_time = held.stream_time;
  context.model = model_name_;
  return context;
}

BufferPtr ClipTag::Deliver(HeldFrame& held) {
  auto answer = std::make_shared<Answer>();
  answer->context = ContextOf(held);
  answer->time = held.time;
  answer->result = std::move(held.result);
  if (answer->result.still && publisher_.last()) answer->StandOn(*publisher_.last());
  BufferPtr buffer = held.TakeBuffer();
  const Publisher::Options options = publish_options();
  if (!Publish(answer, 0, options)) return buffer;
  return publisher_.Attach(std::move(buffer), *answer, answer->AgeAt(held.time), options);
}

bool ClipTag::PushEvent(EventPtr event) {
  if (GST_EVENT_TYPE(event.get()) == GST_EVENT_EOS) {
    FlushEngine();  // nothing is queued: it forgets which tags are active
    publisher_.EndActive(publish_options());
  }
  return gst_pad_push_event(src_pad_, event.release());
}

// Upstream has sent its last and will not learn from the next Chain() that downstream has failed.
void ClipTag::FailIfEosWaits(GstFlowReturn flow) {
  if ((flow != GST_FLOW_NOT_LINKED && flow >= GST_FLOW_EOS) || !queue_.HoldsEos()) return;
  GST_ELEMENT_FLOW_ERROR(element_, flow);
  gst_pad_push_event(src_pad_, gst_event_new_eos());
}

bool ClipTag::ActivateSink(bool active) {
  if (!active) queue_.Stop(GST_FLOW_FLUSHING);
  return true;
}

bool ClipTag::ActivateSrc(bool active) {
  {
    const std::lock_guard lock(control_mutex_);
    src_active_ = active;
    if (active) {
      queue_.Reset();
    } else {
      queue_.Stop(GST_FLOW_FLUSHING);
    }
  }
  return active ? StartTask() : gst_pad_stop_task(src_pad_);
}

bool ClipTag::StartTask() {
  if (gst_pad_start_task(src_pad_, gst_clip_tag_loop, element_, nullptr)) return true;
  GST_ELEMENT_ERROR(element_, RESOURCE, FAILED,
                    ("The system refuses a thread for the frames: raise the limit of processes "
                     "(ulimit -u, TasksMax)."),
                    (nullptr));
  return false;
}

}  // namespace cliptag
