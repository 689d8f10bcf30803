// What the `cliptag` element does: frames in, the same frames out with tags on them.
//
// It ties together what input/, prompts/ and output/ do: a frame is timed (StreamClock), chosen
// (InferencePacer), mapped (FrameReader), handed to the engine, waits in the way out (OutputQueue)
// or goes on at once (LiveTags), and its answer is posted and attached (Publisher).
//
// Threads: the sink pad's streaming thread (Chain, serialized events and queries), the src pad's
// task (Loop), engine workers (callbacks), GStreamer's threads for later calls, and any number of
// application threads (properties, flushes, latency queries, states).
//   control_mutex_   engine_ and stream_ for all but the two streaming threads, which run only
//                    between Start() and Stop() and read them freely; no callback takes it.
//                    Also whether the src pad is active, so that a flush does not start its task
//                    late.
//   settings_mutex_  settings_; held for copies only.
// The lock of prompts_ is taken before control_mutex_.
// No lock is held while anything is pushed, posted or waited for, with one exception: a flush holds
// control_mutex_ until the batch that is running ends.
#pragma once

#include <gst/gst.h>

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "plugin/elements/cliptag/input/frame_reader.h"
#include "plugin/elements/cliptag/input/inference_pacer.h"
#include "plugin/elements/cliptag/input/pool_limit.h"
#include "plugin/elements/cliptag/input/stream_clock.h"
#include "plugin/elements/cliptag/output/live_tags.h"
#include "plugin/elements/cliptag/output/publisher.h"
#include "plugin/elements/cliptag/output/queue.h"
#include "plugin/elements/cliptag/output/rate_meter.h"
#include "plugin/elements/cliptag/prompts/controller.h"
#include "plugin/elements/cliptag/settings.h"
#include "plugin/elements/cuda/cuda_frames.h"
#include "plugin/elements/metrics/file.h"
#include "plugin/engine/engine.h"
#include "plugin/engine/still_picture.h"

namespace cliptag {

class ClipTag : private PromptsController::Host {
 public:
  ClipTag(GstElement* element, GstPad* sink_pad, GstPad* src_pad);

  // --- control.cc: engine, settings
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
  void ChangePrompts(const std::function<void(PromptSource&)>& change) { prompts_.Change(change); }
  // Properties that are fixed while running: a warning, and nothing changes then.
  void ChangeFixed(const char* property, const std::function<void(FixedSettings&)>& change);
  GstStructure* Stats() const;  // caller owns
  // GstElementClass.set_context.
  void SetContext(GstContext* context);

  // --- stream.cc: frames
  GstFlowReturn Chain(GstBuffer* buffer);
  void Loop();
  bool ActivateSink(bool active);
  bool ActivateSrc(bool active);

  // --- events.cc
  bool SinkEvent(GstEvent* event);
  bool SrcEvent(GstEvent* event);

  // --- queries.cc
  bool SinkQuery(GstQuery* query);
  bool SrcQuery(GstQuery* query);
  // Makes the pipeline ask for latencies again if ours has changed since it asked.
  void LatencyMayHaveChanged();

 private:
  // The number of a frame since the segment's start, and when it is shown.
  struct FrameTime {
    guint64 frame_number, time;
  };

  // control.cc
  bool running() const;  // between Start() and Stop()
  FrameSettings frame_settings() const;
  Publisher::Options publish_options() const;
  // Makes the engine, in the CUDA context of the elements beside where frames may come in it.
  Result<std::shared_ptr<Engine>> CreateEngine(const Settings& settings);
  bool UpstreamMayUseCuda() const;
  std::unique_ptr<MetricsRegistration> OpenMetrics(const std::string& path);  // null without one

  // prompts.cc
  void Encode(PromptSpec spec) override;
  void CallLater(std::function<void()> call) override;
  void PromptsFailed(const Status& status) override { PostStartError(status); }
  void PromptsRefused(const Status& status) override;
  void PromptsTaken(const PromptBank& bank, bool others) override;
  void PromptsStateChanged() override { queue_.Wake(); }
  void PostStartError(const Status& status);

  // stream.cc
  bool StartTask();  // the src pad's
  GstFlowReturn WaitForPrompts();
  GstFlowReturn WaitForRoom(const FrameSettings& frame);
  // Null, and the buffer back in `item`, if it cannot be mapped.
  std::shared_ptr<HeldFrame> Hold(BufferPtr buffer, const FrameSettings& frame, guint64 time,
                                  Item* item);
  bool IsStill(const FrameSettings& frame, const HeldFrame& held);
  InferenceRequest RequestFor(HeldFrame& held, const FrameSettings& frame, guint64 frame_number);
  void Submit(InferenceRequest request, const FrameSettings& frame);
  ResultContext ContextOf(const HeldFrame& held) const;
  size_t Bound(const FrameSettings& frame) const;
  BufferPtr Deliver(HeldFrame& held);
  bool PushEvent(EventPtr event);
  void FailIfEosWaits(GstFlowReturn flow);

  // live.cc: frames that do not wait for their answers
  bool IsLive(Mode mode);  // asks upstream, where it has not said yet
  GstFlowReturn ChainLive(BufferPtr buffer, const FrameSettings& frame, FrameTime at, bool due);
  void InferLive(GstBuffer* buffer, const FrameSettings& frame, FrameTime at);
  void PublishArrived();  // on the src pad's task
  bool Publish(const AnswerPtr& answer, guint64 age, const Publisher::Options& options);
  void WaitForLive();  // at the end of the stream
  void MeasureRate();

  // events.cc
  void FlushStart(GstEvent* event);
  void FlushStop(GstEvent* event);
  void FlushEngine();
  bool TakeCaps(GstEvent* event);
  bool HeedsQos() const;  // frames may be left out while downstream is late
  void ResetCounters();

  // queries.cc
  bool Allocation(GstQuery* query);
  bool Latency(GstQuery* query);
  guint64 OwnLatency() const;
  // Frames in CUDA memory are taken: the engine reads them, or may do so once it is there.
  bool TakesCuda() const;
  bool QueryCaps(GstPad* pad, GstQuery* query);
  void ExplainMemory(const GstCaps* caps, bool post);

  GstElement* const element_;
  GstPad* const sink_pad_;
  GstPad* const src_pad_;

  mutable std::mutex settings_mutex_;
  Settings settings_;  // but for those of prompts_

  mutable std::mutex control_mutex_;
  std::shared_ptr<Engine> engine_;
  std::unique_ptr<EngineStream> stream_;
  bool src_active_ = false;  // guarded by control_mutex_
  std::string model_name_;   // this and the next: unchanged while streaming threads run
  size_t engine_batch_ = 1;

  CudaFrames cuda_;
  enum class CudaUse { kUndecided, kYes, kNo };
  std::atomic<CudaUse> cuda_use_{CudaUse::kUndecided};  // decided while running

  std::unique_ptr<MetricsRegistration>
      metrics_;  // from Start() to Stop(), the only ones to touch it
  PromptsController prompts_{this};
  OutputQueue queue_;
  LiveTags live_;
  Publisher publisher_;  // of the thread that pushes: one at a time, ordered by the queue's lock
  enum class Liveness { kUnknown, kLive, kNot };
  std::atomic<Liveness> liveness_{Liveness::kUnknown};  // of the pipeline
  std::atomic<guint64> newest_time_{0};                 // of live frames
  std::atomic<bool> forget_still_{false};

  // Of the sink pad's streaming thread, under its stream lock (GlibTurn), or while the pads are
  // inactive.
  FrameReader reader_;
  GstSegment segment_;
  guint64 next_frame_ = 0;  // number of the next frame since the segment's start
  StreamClock clock_;
  InferencePacer pacer_;
  RateMeter rate_;
  PoolLimit pool_;
  StillPicture still_;
  guint since_hurry_ = 0;
  bool warned_not_mappable_ = false;

  std::atomic<guint64> reported_latency_{GST_CLOCK_TIME_NONE};  // invalid: not asked for yet
  std::atomic<guint64> frames_in_{0};
  std::atomic<bool> warned_memory_{false};
};

}  // namespace cliptag
