// Answers of the engine: what is told of them, and live mode, in which frames do not wait for them.
#include <algorithm>
#include <utility>

#include "kernels/base/plain_text.h"
#include "plugin/elements/cliptag/clip_tag.h"
#include "plugin/elements/cliptag/gstcliptag.h"

namespace cliptag {
namespace {

constexpr gint64 kRateWindow = 2 * G_USEC_PER_SEC;
// Of what was due; less than this in two windows running means that the machine is too slow.
constexpr double kReached = 0.9;
constexpr guint kSlowWindows = 2;

// Messages on a bus that nobody reads: a minute's at 25 inferences a second and more.
constexpr size_t kMostUnread = UnreadMessages::kMostKnown / 2;

}  // namespace

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

GstFlowReturn ClipTag::ChainLive(BufferPtr buffer, const FrameSettings& frame, guint64 frame_number,
                                 guint64 time, bool due) {
  if (prompts_.state() == PromptsController::State::kFailed)
    return GST_FLOW_ERROR;  // it has been posted
  newest_time_ = time;
  if (due && prompts_.state() == PromptsController::State::kReady)
    InferLive(buffer.get(), frame, frame_number, time);
  MeasureRate();
  if (const AnswerPtr answer = live_.newest(); answer && !answer->result.tags.empty())
    buffer = Attach(std::move(buffer), *answer, answer->AgeAt(time));
  if (queue_.IsIdle()) return gst_pad_push(src_pad_, buffer.release());
  // Behind frames from before the mode became live, which wait for their tags, or behind a message
  // that is being posted.
  const GstFlowReturn flow = queue_.WaitForRoom(Bound(frame), [this] { stream_->Hurry(); });
  if (flow != GST_FLOW_OK) return flow;
  Item item;
  item.buffer = std::move(buffer);
  return queue_.Add(std::move(item)) ? GST_FLOW_OK : queue_.flow();
}

// The engine reads the frame while it goes on: it is held, and whoever writes to it downstream
// makes a copy first.
void ClipTag::InferLive(GstBuffer* buffer, const FrameSettings& frame, guint64 frame_number,
                        guint64 time) {
  Item unused;
  const std::shared_ptr<HeldFrame> held = Hold(BufferPtr(gst_buffer_ref(buffer)), &unused);
  if (!held) return;
  held->time = time;
  held->still = IsStill(frame, *held);
  InferenceRequest request = RequestFor(*held, frame, frame_number);
  request.replace = true;
  auto answer = std::make_shared<Answer>();  // here, where there being no memory is an error
  answer->context = ContextOf(*held);
  const unsigned era = live_.Begin();
  request.done = [this, held, era, answer](InferenceResult result) {
    answer->time = held->time;
    answer->result = std::move(result);
    held->TakeBuffer();  // whoever holds the request longer does not hold the frame
    if (!answer->result.status.ok() && !held->still) forget_still_ = true;
    live_.Arrived(era, answer);
    // By the src pad's task: nobody's handler of messages holds up the engine or the video.
    Item hint;
    hint.answers = true;
    queue_.Add(std::move(hint));
    queue_.Wake();
  };
  const auto done = request.done;
  if (Status status = stream_->Submit(std::move(request)); !status.ok()) {
    InferenceResult failed;
    failed.status = std::move(status);
    done(std::move(failed));
    return;
  }
  if (!held->still) ++rate_due_;
  HurryIfLowered(frame);
}

void ClipTag::PostArrived() {
  for (const AnswerPtr& answer : live_.Take()) Tell(answer, answer->AgeAt(newest_time_));
}

void ClipTag::WaitForLive() {
  if (!live_.is_busy()) return;
  if (queue_.WaitUntil([this] { return !live_.awaits_any(); })) queue_.WaitIdle();
}

bool ClipTag::Tell(const AnswerPtr& answer, guint64 age) {
  const InferenceResult& result = answer->result;
  if (!result.status.ok()) {
    if (result.status.code() != StatusCode::kCancelled && !std::exchange(told_not_tagged_, true)) {
      GST_ELEMENT_WARNING(
          element_, LIBRARY, FAILED,
          ("%s The frame passes without tags.", PlainSentence(result.status.message()).c_str()),
          (nullptr));
    }
    return false;
  }
  FrameSettings frame;
  {
    const std::lock_guard lock(settings_mutex_);
    frame = settings_.frame;
  }
  TrackActive(result);
  last_told_ = answer;
  if (result.still) {
    ++skipped_still_;
  } else {
    ++frames_tagged_;
    ++rate_inferred_;
  }
  if (frame.post_messages) {
    ResultContext context = answer->context;
    context.attach_embedding = frame.attach_embedding;
    context.age = age;
    if (!result.still) Post(MakeResultStructure("cliptag", context, result));
    for (const TagEvent& event : result.events) Post(MakeEventStructure(event));
  }
  LatencyMayHaveChanged();
  return !result.tags.empty();
}

BufferPtr ClipTag::Attach(BufferPtr buffer, const Answer& answer, guint64 age) {
  ResultContext context = answer.context;
  context.age = age;
  ages_.Add(age);
  {
    const std::lock_guard lock(settings_mutex_);
    context.attach_embedding = settings_.frame.attach_embedding;
  }
  // Shares the memory, so the pixels stay where they are.
  buffer.reset(gst_buffer_make_writable(buffer.release()));
  AttachResult(buffer.get(), context, answer.result);
  return buffer;
}

// A bus that nobody reads keeps what is posted on it. Events are few, and are left out later.
void ClipTag::Post(GstStructure* structure) {
  const bool event = !gst_structure_has_name(structure, "cliptag");
  if (unread_.HasRoom(element_, event ? 2 * kMostUnread : kMostUnread)) {
    GstMessage* message = gst_message_new_element(GST_OBJECT(element_), structure);
    unread_.Posted(message);
    gst_element_post_message(element_, message);
    return;
  }
  gst_structure_free(structure);
  if (messages_dropped_++ > 0) return;
  GST_ELEMENT_WARNING(
      element_, RESOURCE, BUSY,
      ("Nobody reads the bus: %zu messages wait there, and no more are posted until some are read. "
       "Pop them, let a sync handler return GST_BUS_DROP, or set post-messages=false.",
       kMostUnread),
      (nullptr));
}

void ClipTag::TrackActive(const InferenceResult& result) {
  tag_counts_.Look(result);
  for (const TagEvent& event : result.events) {
    const ActiveKey key{event.label, event.of_object, event.track};
    if (event.start) {
      active_tags_[key] = {event.at.time_ns, event.peak, event.score, event.id, result.at};
    } else {
      active_tags_.erase(key);
    }
  }
  for (const Tag& tag : result.tags) {
    const auto it = active_tags_.find({tag.label, tag.of_object, tag.track});
    if (it == active_tags_.end()) continue;
    it->second.last = tag.score;
    it->second.seen = result.at;
    it->second.peak = std::max(it->second.peak, tag.score);
  }
}

// At the end of a stream, a flush or a stop: every start that was told gets its end.
void ClipTag::EndActiveTags() {
  std::map<ActiveKey, ActiveTag> ended;
  ended.swap(active_tags_);
  for (const auto& [key, tag] : ended) tag_counts_.EndOf(key.label);
  tag_counts_.NoneActive();
  bool post = false;
  {
    const std::lock_guard lock(settings_mutex_);
    post = settings_.frame.post_messages;
  }
  if (!post) return;
  for (const auto& [key, tag] : ended) {
    TagEvent event;
    event.label = key.label;
    event.of_object = key.of_object;
    event.id = tag.id;
    event.track = key.track;
    event.at = tag.seen;  // of an object that has gone: when it was there
    event.score = tag.last;
    event.duration_ns = tag.seen.time_ns - std::min<guint64>(tag.since_ns, tag.seen.time_ns);
    event.peak = tag.peak;
    Post(MakeEventStructure(event));
  }
}

// How many frames a second are looked at, and whether that is what was asked for.
void ClipTag::MeasureRate() {
  const gint64 now = g_get_monotonic_time();
  if (rate_since_us_ == 0) {
    rate_since_us_ = now;
    rate_due_ = 0;
    rate_inferred_ = 0;
    slow_windows_ = 0;
    return;
  }
  const gint64 passed = now - rate_since_us_;
  if (passed < kRateWindow) return;
  const double seconds = static_cast<double>(passed) / G_USEC_PER_SEC;
  const auto inferred = static_cast<double>(rate_inferred_.exchange(0));
  rate_ = inferred / seconds;
  // The first and the last answer of a window belong to its neighbours.
  const bool slow = inferred + 1 < kReached * static_cast<double>(rate_due_);
  slow_windows_ = slow ? slow_windows_ + 1 : 0;
  too_slow_ = slow_windows_ >= kSlowWindows;
  if (too_slow_ && !told_too_slow_.exchange(true)) {
    gchar* text = g_strdup_printf(
        "The machine is too slow for what is asked of it: of %.1f frames a second that are due, "
        "%.1f are looked at, the newest ones. The video is not held back.",
        static_cast<double>(rate_due_) / seconds, rate_.load());
    // As debug text, too: of an info message gst-launch prints nothing else.
    GST_ELEMENT_INFO(element_, RESOURCE, SETTINGS, ("%s", text), ("%s", text));
    g_free(text);
  }
  rate_since_us_ = now;
  rate_due_ = 0;
}

}  // namespace cliptag
