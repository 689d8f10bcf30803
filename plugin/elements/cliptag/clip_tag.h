// What the `cliptag` element does: frames in, the same frames out with tags on them.
//
// Threads: the sink pad's streaming thread (Chain, serialized events and queries), the src pad's
// task (Loop), engine workers (callbacks), GStreamer's threads for later calls, and any number of
// application threads (properties, flushes, latency queries, states).
//   control_mutex_   engine_ and stream_ for everyone but the two streaming threads, which run only
//                    between Start() and Stop() and read them freely; no callback takes it.
//                    Also whether the src pad is active, so that a flush does not start its task
//                    late.
//   settings_mutex_  settings_; held for copies only.
// The lock of prompts_ is taken before control_mutex_.
// No lock is held while anything is pushed, posted or waited for, with one exception: a flush holds
// control_mutex_ until the batch that is running ends.
#pragma once

#include <gst/gst.h>
#include <gst/video/video.h>

#include <atomic>
#include <compare>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "plugin/elements/cliptag/live_tags.h"
#include "plugin/elements/cliptag/output_queue.h"
#include "plugin/elements/cliptag/prompts/controller.h"
#include "plugin/elements/cliptag/recent_values.h"
#include "plugin/elements/cliptag/settings.h"
#include "plugin/elements/cliptag/stream_clock.h"
#include "plugin/elements/cliptag/unread_messages.h"
#include "plugin/elements/cuda/cuda_frames.h"
#include "plugin/elements/meta/meta.h"
#include "plugin/elements/metrics/file.h"
#include "plugin/elements/metrics/tag_counts.h"
#include "plugin/engine/engine.h"
#include "plugin/engine/still_picture.h"
#include "plugin/gst/rate_schedule.h"

namespace cliptag {

class ClipTag : private PromptsController::Host {
 public:
  ClipTag(GstElement* element, GstPad* sink_pad, GstPad* src_pad)
      : element_(element), sink_pad_(sink_pad), src_pad_(src_pad), cuda_(element) {
    ForgetStream();
  }

  // --- plugin/elements/cliptag/control.cc: engine, prompts, settings
  // READY to PAUSED: loads the model, begins to encode the prompts. Has posted an error if false.
  // If it fails or throws, Stop() clears away what it has begun.
  bool Start();
  // PAUSED to READY, after the pads have been deactivated. Safe without Start().
  void Stop();
  Settings settings() const;
  // Properties that are plain values: `change` edits them under the lock.
  void ChangeFrame(const std::function<void(FrameSettings&)>& change);
  void ChangePolicy(const std::function<void(PolicyOptions&)>& change);
  // Properties that make a new prompt bank. What is wrong with them is a warning while running.
  void ChangePrompts(const std::function<void(PromptSettings&)>& change) {
    prompts_.Change(change);
  }
  // Properties that are fixed while running: a warning, and nothing changes then.
  void ChangeFixed(const char* property, const std::function<void(FixedSettings&)>& change);
  GstStructure* Stats() const;  // caller owns
  // GstElementClass.set_context.
  void SetContext(GstContext* context);
  // Tells the pipeline to ask for latencies again if ours is no longer what it was told.
  void LatencyMayHaveChanged();

  // --- plugin/elements/cliptag/stream.cc: frames
  GstFlowReturn Chain(GstBuffer* buffer);
  void Loop();
  bool ActivateSink(bool active);
  bool ActivateSrc(bool active);

  // --- plugin/elements/cliptag/events.cc
  bool SinkEvent(GstEvent* event);
  bool SrcEvent(GstEvent* event);
  bool SinkQuery(GstQuery* query);
  bool SrcQuery(GstQuery* query);

 private:
  // control
  bool running() const;  // between Start() and Stop()

  // plugin/elements/cliptag/prompts.cc
  void Encode(PromptSpec spec) override;
  void CallLater(std::function<void()> call) override;
  void PromptsFailed(const Status& status) override { PostStartError(status); }
  void PromptsRefused(const Status& status) override;
  void PromptsTaken(const PromptBank& bank, bool others) override;
  void PromptsStateChanged() override { queue_.Wake(); }
  void PostStartError(const Status& status);
  // Makes the engine, in the CUDA context of the elements beside where frames may come in it.
  Result<std::shared_ptr<Engine>> CreateEngine(const Settings& settings);
  bool UpstreamMayUseCuda() const;
  // plugin/elements/cliptag/metrics.cc: the property metrics-file; null without one
  std::unique_ptr<MetricsRegistration> OpenMetrics(const std::string& path);

  // plugin/elements/cliptag/live.cc: answers, and frames that do not wait for them
  bool IsLive(Mode mode);  // asks upstream, where it has not said yet
  GstFlowReturn ChainLive(BufferPtr buffer, const FrameSettings& frame, guint64 frame_number,
                          guint64 time, bool due);
  void InferLive(GstBuffer* buffer, const FrameSettings& frame, guint64 frame_number, guint64 time);
  void PostArrived();  // on the src pad's task
  void WaitForLive();  // at the end of the stream
  // Messages, events and counts of an answer; false if it has no tags to attach.
  bool Tell(const AnswerPtr& answer, guint64 age);
  BufferPtr Attach(BufferPtr buffer, const Answer& answer, guint64 age);
  void Post(GstStructure* structure);
  void TrackActive(const InferenceResult& result);
  void EndActiveTags();
  void MeasureRate();

  // stream
  bool StartTask();  // the src pad's
  guint64 FrameDuration(const GstBuffer* buffer) const;
  bool IsDue(const FrameSettings& frame, guint64 time, guint64 frame_duration);
  // False while downstream is late, where that counts: frames go on, without being looked at, but
  // for one a second.
  bool MayLook(bool heed_qos, guint64 running_time, guint64 time);
  bool IsStill(const FrameSettings& frame, const HeldFrame& held);
  // Null, and the buffer back in `item`, if it cannot be looked at.
  std::shared_ptr<HeldFrame> Hold(BufferPtr buffer, Item* item);
  // Maps the buffer where it lies and describes it in `held`, which has taken it in any case.
  Status View(BufferPtr buffer, HeldFrame* held);
  Orientation CurrentOrientation();
  InferenceRequest RequestFor(HeldFrame& held, const FrameSettings& frame, guint64 frame_number);
  void Submit(const std::shared_ptr<HeldFrame>& held, const FrameSettings& frame,
              guint64 frame_number);
  ResultContext ContextOf(const HeldFrame& held) const;
  void HurryIfLowered(const FrameSettings& frame);
  size_t Bound(const FrameSettings& frame) const;
  void LookAtPool(GstBuffer* buffer);
  GstFlowReturn WaitForPrompts();
  GstFlowReturn PushFrame(Item item);
  BufferPtr Deliver(HeldFrame& held);
  bool PushEvent(EventPtr event);
  void FailIfEosWaits(GstFlowReturn flow);

  // events
  void FlushStart(GstEvent* event);
  void FlushStop(GstEvent* event);
  bool TakeCaps(GstEvent* event);
  void TakeSegment(GstEvent* event);
  void TakeTags(GstEvent* event);
  bool Allocation(GstQuery* query);
  bool Latency(GstQuery* query);
  guint64 OwnLatency() const;
  void TakeQos(GstEvent* event);
  bool HeedsQos() const;  // frames may be left out while downstream is late
  void FlushEngine();
  void ResetCounters();
  void ForgetStream();  // caps, segment, tags: what its events have told
  // Frames in CUDA memory are taken: the engine reads them, or may do so once it is there.
  bool TakesCuda() const;
  bool QueryCaps(GstPad* pad, GstQuery* query);
  void ExplainMemory(const GstCaps* caps, bool post);

  GstElement* const element_;
  GstPad* const sink_pad_;
  GstPad* const src_pad_;

  mutable std::mutex settings_mutex_;
  Settings settings_;  // but for the prompts' own: prompts_ has these

  mutable std::mutex control_mutex_;
  std::shared_ptr<Engine> engine_;
  std::unique_ptr<EngineStream> stream_;
  bool src_active_ = false;  // guarded by control_mutex_
  std::string model_name_;   // this and the next: unchanged while streaming threads run
  size_t engine_batch_ = 1;

  CudaFrames cuda_;
  enum class CudaUse { kUndecided, kYes, kNo };
  std::atomic<CudaUse> cuda_use_{CudaUse::kUndecided};  // decided while running

  TagCounts tag_counts_;
  std::unique_ptr<MetricsRegistration> metrics_;  // from Start() to Stop(), which alone touch it

  PromptsController prompts_{this};

  OutputQueue queue_;
  LiveTags live_;
  enum class Liveness { kUnknown, kLive, kNot };
  std::atomic<Liveness> liveness_{Liveness::kUnknown};  // of the pipeline
  std::atomic<guint64> newest_time_{0};                 // of live frames
  std::atomic<guint64> late_until_{0};                  // running time, by downstream's QoS events
  std::atomic<bool> forget_still_{false};

  // The sink pad's streaming thread alone, under its stream lock (GlibTurn), or while the pads are
  // inactive.
  GstVideoInfo info_;
  bool have_info_ = false;
  bool in_cuda_memory_ = false;  // as the caps say
  GstSegment segment_;
  guint64 next_frame_ = 0;  // number of the next frame since the segment's start
  StreamClock clock_;
  guint64 intervals_ = 0;  // frames since a flush, for interval
  RateSchedule schedule_;
  std::optional<Orientation> stream_orientation_, global_orientation_;
  guint since_hurry_ = 0;
  guint64 last_looked_ns_ = GST_CLOCK_TIME_NONE;  // by clock_
  StillPicture still_;
  // Since when the machine's rate is measured, and how many frames it was asked for.
  gint64 rate_since_us_ = 0;
  guint64 rate_due_ = 0;
  guint slow_windows_ = 0;
  GstBufferPool* seen_pool_ = nullptr;  // compared, never followed
  guint seen_pool_max_ = 0;
  bool told_not_mappable_ = false;

  // Whoever pushes: one thread at a time, ordered by the queue's lock.
  struct ActiveTag {
    guint64 since_ns = 0;  // by clock_
    double peak = 0, last = 0;
    int64_t id = -1;  // that is told of the object
    Moment seen;
  };
  struct ActiveKey {
    std::string label;
    bool of_object = false;
    int64_t track = -1;
    auto operator<=>(const ActiveKey&) const = default;
  };
  std::map<ActiveKey, ActiveTag> active_tags_;
  AnswerPtr last_told_;  // with tags
  bool told_not_tagged_ = false;

  std::atomic<guint64> reported_latency_{GST_CLOCK_TIME_NONE};  // none: nobody has asked
  UnreadMessages unread_;
  std::atomic<guint64> messages_dropped_{0};
  std::atomic<guint64> frames_in_{0}, frames_tagged_{0};
  std::atomic<guint64> skipped_late_{0}, skipped_still_{0};
  std::atomic<guint64> rate_inferred_{0};  // in the window that is measured
  std::atomic<double> rate_{0};            // looked at a second, of late
  RecentValues ages_;                      // ns, of the tags on frames
  std::atomic<bool> too_slow_{false}, told_too_slow_{false};
  std::atomic<bool> told_memory_{false};
};

}  // namespace cliptag
