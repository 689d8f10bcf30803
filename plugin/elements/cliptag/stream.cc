// Frames: in at Chain(), out at Loop(), or straight through when there is nothing to wait for.
#include <algorithm>
#include <utility>

#include "kernels/base/plain_text.h"
#include "plugin/elements/cliptag/clip_tag.h"
#include "plugin/elements/cliptag/gstcliptag.h"
#include "plugin/elements/cliptag/upstream_direction.h"
#include "plugin/gst/frame_view.h"
#include "plugin/gst/glib_order.h"

namespace cliptag {
namespace {

// Frames held beyond a full batch, so that the next batch fills while one is computed.
constexpr size_t kMostFramesAhead = 8;

// While downstream is late, a frame is looked at this often all the same.
constexpr guint64 kLongestBlind = GST_SECOND;
constexpr int kAssumedRate = 25;  // frames a second, where neither timestamps nor caps tell

}  // namespace

GstFlowReturn ClipTag::Chain(GstBuffer* raw) {
  BufferPtr buffer(raw);
  const GlibTurn turn(this);
  GstFlowReturn flow = queue_.flow();
  if (flow != GST_FLOW_OK) return flow;
  if (!have_info_) return GST_FLOW_NOT_NEGOTIATED;
  FrameSettings frame;
  {
    const std::lock_guard lock(settings_mutex_);
    frame = settings_.frame;
  }
  ++frames_in_;
  const guint64 frame_number = next_frame_++;
  const guint64 running_time =
      segment_.format == GST_FORMAT_TIME
          ? gst_segment_to_running_time(&segment_, GST_FORMAT_TIME, GST_BUFFER_PTS(buffer.get()))
          : GST_CLOCK_TIME_NONE;
  const guint64 duration = FrameDuration(buffer.get());
  const guint64 time = clock_.Next(running_time, duration);
  LookAtPool(buffer.get());
  const bool live = IsLive(frame.mode);
  const bool due = IsDue(frame, time, duration) && MayLook(live || frame.qos, running_time, time);
  if (live) return ChainLive(std::move(buffer), frame, frame_number, time, due);
  MeasureRate();
  Item item;
  std::shared_ptr<HeldFrame> held;
  if (due) {
    flow = WaitForPrompts();
    if (flow != GST_FLOW_OK) return flow;
    // When there is no room, no further frame of ours can join the batch: do not wait for its
    // deadline.
    flow = queue_.WaitForRoom(Bound(frame), [this] { stream_->Hurry(); });
    if (flow != GST_FLOW_OK) return flow;
    held = Hold(std::move(buffer), &item);
    if (held) {
      held->time = time;
      held->still = IsStill(frame, *held);
    }
  } else if (queue_.IsIdle()) {
    return gst_pad_push(src_pad_, buffer.release());
  } else {
    flow = queue_.WaitForRoom(Bound(frame), [this] { stream_->Hurry(); });
    if (flow != GST_FLOW_OK) return flow;
    item.buffer = std::move(buffer);
  }
  // Into the queue first: the answer may come before Submit() returns.
  item.held = held;
  if (!queue_.Add(std::move(item))) return queue_.flow();
  if (held) Submit(held, frame, frame_number);
  return GST_FLOW_OK;
}

guint64 ClipTag::FrameDuration(const GstBuffer* buffer) const {
  if (GST_BUFFER_DURATION_IS_VALID(buffer)) return GST_BUFFER_DURATION(buffer);
  const bool known = GST_VIDEO_INFO_FPS_N(&info_) > 0 && GST_VIDEO_INFO_FPS_D(&info_) > 0;
  return gst_util_uint64_scale(
      GST_SECOND, static_cast<guint64>(known ? GST_VIDEO_INFO_FPS_D(&info_) : 1),
      static_cast<guint64>(known ? GST_VIDEO_INFO_FPS_N(&info_) : kAssumedRate));
}

bool ClipTag::IsDue(const FrameSettings& frame, guint64 time, guint64 frame_duration) {
  if (intervals_++ % frame.interval != 0) return false;
  return schedule_.TakeIfDue(time, frame.max_rate.period(), frame.interval * frame_duration);
}

bool ClipTag::MayLook(bool heed_qos, guint64 running_time, guint64 time) {
  const bool late = heed_qos && GST_CLOCK_TIME_IS_VALID(running_time) && running_time < late_until_;
  if (late && GST_CLOCK_TIME_IS_VALID(last_looked_ns_) && time - last_looked_ns_ < kLongestBlind) {
    ++skipped_late_;
    return false;
  }
  last_looked_ns_ = time;
  return true;
}

bool ClipTag::IsStill(const FrameSettings& frame, const HeldFrame& held) {
  if (forget_still_.exchange(false)) still_.Forget();
  if (frame.still_threshold <= 0) {
    still_.Forget();
    return false;
  }
  if (held.view.memory != FrameMemory::kHost) return false;
  if (!still_.Check(held.view, frame.still_threshold)) return false;
  return true;
}

void ClipTag::LookAtPool(GstBuffer* buffer) {
  if (buffer->pool == seen_pool_) return;
  seen_pool_ = buffer->pool;
  seen_pool_max_ = 0;
  if (seen_pool_ == nullptr) return;
  GstStructure* config = gst_buffer_pool_get_config(seen_pool_);
  guint max = 0;
  if (gst_buffer_pool_config_get_params(config, nullptr, nullptr, nullptr, &max)) {
    seen_pool_max_ = max;
  }
  gst_structure_free(config);
}

size_t ClipTag::Bound(const FrameSettings& frame) const {
  size_t batch = engine_batch_;
  if (frame.max_batch > 0) batch = std::min<size_t>(batch, frame.max_batch);
  size_t bound = batch + std::min(batch, kMostFramesAhead);
  // A pool that cannot grow: leave upstream a buffer to fill.
  if (seen_pool_max_ > 0) bound = std::min<size_t>(bound, std::max(seen_pool_max_, 2u) - 1);
  return bound;
}

GstFlowReturn ClipTag::WaitForPrompts() {
  const auto decided = [this] {
    const auto state = prompts_.state();  // while it is kFailing, the error is not posted yet
    return state == PromptsController::State::kReady || state == PromptsController::State::kFailed;
  };
  if (!queue_.WaitUntil(decided)) return queue_.flow();
  return prompts_.state() == PromptsController::State::kReady ? GST_FLOW_OK : GST_FLOW_ERROR;
}

std::shared_ptr<HeldFrame> ClipTag::Hold(BufferPtr buffer, Item* item) {
  auto held = std::make_shared<HeldFrame>();
  const Status status = View(std::move(buffer), held.get());
  if (status.ok()) {
    if (segment_.format == GST_FORMAT_TIME) {
      held->stream_time =
          gst_segment_to_stream_time(&segment_, GST_FORMAT_TIME, GST_BUFFER_PTS(held->buffer()));
    }
    return held;
  }
  if (!std::exchange(told_not_mappable_, true)) {
    GST_ELEMENT_WARNING(element_, STREAM, FORMAT,
                        ("%s It passes without tags.", PlainSentence(status.message()).c_str()),
                        (nullptr));
  }
  item->buffer = held->TakeBuffer();
  return nullptr;
}

Status ClipTag::View(BufferPtr buffer, HeldFrame* held) {
  GstVideoInfo info = info_;
  GstMapFlags flags = GST_MAP_READ;
  if (in_cuda_memory_) {
    if (Status status = cuda_.Prepare(buffer.get(), &info, &flags); !status.ok()) {
      held->Hold(std::move(buffer));
      return status;
    }
  }
  if (!held->Map(std::move(buffer), info, flags)) {
    return InvalidArgument("The frame does not hold what its caps promise, or cannot be mapped.");
  }
  CLIPTAG_ASSIGN_OR_RETURN(held->view, MakeFrameView(held->frame(), CurrentOrientation()));
  return in_cuda_memory_ ? CudaFrames::Finish(held->frame(), &held->view) : Status();
}

Orientation ClipTag::CurrentOrientation() {
  {
    const std::lock_guard lock(settings_mutex_);
    if (settings_.frame.orientation) return *settings_.frame.orientation;
  }
  // The stream's own tag wins over the container's, as in videoflip.
  const Orientation tagged =
      stream_orientation_.value_or(global_orientation_.value_or(Orientation::kRotate0));
  // Asked of every frame that has a tag: a videoflip may be set anew without a word to this pad.
  return IsTurnedUpstream(sink_pad_, tagged) ? Orientation::kRotate0 : tagged;
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
  const GstBuffer* buffer = held.buffer();
  request.at.time_ns = held.time;
  request.at.pts_ns = GST_BUFFER_PTS_IS_VALID(buffer) ? GST_BUFFER_PTS(buffer) : held.time;
  request.still = held.still;
  request.frame_number = frame_number;
  request.batch_timeout_ns = frame.batch_timeout_ns;
  return request;
}

void ClipTag::Submit(const std::shared_ptr<HeldFrame>& held, const FrameSettings& frame,
                     guint64 frame_number) {
  InferenceRequest request = RequestFor(*held, frame, frame_number);
  request.done = [this, held](InferenceResult result) {
    if (!result.status.ok()) forget_still_ = true;
    queue_.Complete(*held, std::move(result));
  };
  if (Status status = stream_->Submit(std::move(request)); !status.ok()) {
    InferenceResult failed;
    failed.status = std::move(status);
    queue_.Complete(*held, std::move(failed));
    return;
  }
  if (!held->still) ++rate_due_;
  HurryIfLowered(frame);
}

void ClipTag::HurryIfLowered(const FrameSettings& frame) {
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
      PostArrived();
    } else if (item.event) {
      PushEvent(std::move(item.event));
    } else {
      flow = PushFrame(std::move(item));
    }
  } catch (...) {  // whoever waits for the queue learns of it, too
    queue_.Pushed(GST_FLOW_ERROR);
    throw;
  }
  queue_.Pushed(flow);
  if (flow != GST_FLOW_OK) FailIfEosWaits(flow);
}

GstFlowReturn ClipTag::PushFrame(Item item) {
  BufferPtr buffer = item.held ? Deliver(*item.held) : std::move(item.buffer);
  return gst_pad_push(src_pad_, buffer.release());
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
  if (answer->result.still && last_told_) answer->StandOn(*last_told_);
  BufferPtr buffer = held.TakeBuffer();
  return Tell(answer, 0) ? Attach(std::move(buffer), *answer, answer->AgeAt(held.time))
                         : std::move(buffer);
}

bool ClipTag::PushEvent(EventPtr event) {
  if (GST_EVENT_TYPE(event.get()) == GST_EVENT_EOS) {
    FlushEngine();  // nothing is queued: it forgets which tags are active
    EndActiveTags();
    last_told_.reset();
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
