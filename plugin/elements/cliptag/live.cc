// Live mode, in which frames do not wait for their answers, and what is done with every answer.
#include <utility>

#include "plugin/elements/cliptag/clip_tag.h"
#include "plugin/elements/cliptag/gstcliptag.h"

namespace cliptag {

bool ClipTag::IsLive(Mode mode) {
  if (mode != Mode::kAuto) return mode == Mode::kLive;
  if (liveness_ == Liveness::kUnknown) {
    GstQuery* query = gst_query_new_latency();
    gboolean live = FALSE;
    if (gst_pad_peer_query(sink_pad_, query))
      gst_query_parse_latency(query, &live, nullptr, nullptr);
    gst_query_unref(query);
    liveness_ = live ? Liveness::kLive : Liveness::kNot;
    GST_INFO_OBJECT(element_, "mode is %s: the pipeline is %s", live ? "live" : "exact",
                    live ? "live" : "not live");
  }
  return liveness_ == Liveness::kLive;
}

GstFlowReturn ClipTag::ChainLive(BufferPtr buffer, const FrameSettings& frame, FrameTime at,
                                 bool due) {
  using State = PromptsController::State;
  if (prompts_.state() == State::kFailed) return GST_FLOW_ERROR;  // it has been posted
  newest_time_ = at.time;
  if (due && prompts_.state() == State::kReady) InferLive(buffer.get(), frame, at);
  MeasureRate();
  if (const AnswerPtr answer = live_.newest(); answer && !answer->result.tags.empty()) {
    buffer = publisher_.Attach(std::move(buffer), *answer, answer->AgeAt(at.time),
                               {.attach_embedding = frame.attach_embedding});
  }
  if (queue_.IsIdle()) return gst_pad_push(src_pad_, buffer.release());
  // Behind frames from before the mode became live, which wait for their tags, or behind a message
  // that is being posted.
  const GstFlowReturn flow = WaitForRoom(frame);
  if (flow != GST_FLOW_OK) return flow;
  Item item;
  item.buffer = std::move(buffer);
  return queue_.Add(std::move(item)) ? GST_FLOW_OK : queue_.flow();
}

// The engine reads the frame while it goes on: an element downstream that writes to it makes a copy
// first, since it is held here.
void ClipTag::InferLive(GstBuffer* buffer, const FrameSettings& frame, FrameTime at) {
  Item unused;
  const std::shared_ptr<HeldFrame> held =
      Hold(BufferPtr(gst_buffer_ref(buffer)), frame, at.time, &unused);
  if (!held) return;
  InferenceRequest request = RequestFor(*held, frame, at.frame_number);
  request.replace = true;
  auto answer = std::make_shared<Answer>();  // here, where a lack of memory is an error
  answer->context = ContextOf(*held);
  answer->time = held->time;
  request.done = [this, held, era = live_.Begin(), answer](InferenceResult result) {
    answer->result = std::move(result);
    held->TakeBuffer();  // a request that lives longer does not hold the frame
    if (!answer->result.status.ok() && !held->still) forget_still_ = true;
    live_.Arrived(era, answer);
    // Posted by the src pad's task: a message handler holds up neither the engine nor the video.
    Item hint;
    hint.answers = true;
    queue_.Add(std::move(hint));
    queue_.Wake();
  };
  Submit(std::move(request), frame);
}

void ClipTag::PublishArrived() {
  const Publisher::Options options = publish_options();
  for (const AnswerPtr& answer : live_.Take())
    Publish(answer, answer->AgeAt(newest_time_), options);
}

void ClipTag::WaitForLive() {
  if (!live_.is_busy()) return;
  if (queue_.WaitUntil([this] { return !live_.awaits_any(); })) queue_.WaitIdle();
}

bool ClipTag::Publish(const AnswerPtr& answer, guint64 age, const Publisher::Options& options) {
  if (answer->result.status.ok() && !answer->result.still) rate_.Inferred();
  const bool has_tags = publisher_.Publish(answer, age, options);
  LatencyMayHaveChanged();
  return has_tags;
}

void ClipTag::MeasureRate() {
  if (!rate_.Measure(g_get_monotonic_time())) return;
  gchar* text = g_strdup_printf(
      "The machine is too slow for what is asked of it: of %.1f frames a second that are due, "
      "%.1f are inferred, the newest ones. The video is not held back.",
      rate_.due_per_s(), rate_.rate());
  // As debug text, too: of an info message gst-launch prints nothing else.
  GST_ELEMENT_INFO(element_, RESOURCE, SETTINGS, ("%s", text), ("%s", text));
  g_free(text);
}

}  // namespace cliptag
