// One engine: a model on a device in a precision, with a worker thread of its own that collects
// frames of all its streams into batches, encodes them, scores them and calls back. No GStreamer in
// here.
//
// Fairness: a batch takes one picture of each stream in turn, and goes on where the last one ended.
// A stream that is slow, flushes, changes its prompts all the time or submits frames that cannot be
// read costs the others only a share of the worker's time.
//
// Ownership: streams hold the engine alive. A request borrows the frame's pixels until its callback
// has run; the callback runs exactly once for every accepted request, on the worker (or, for a
// request that is cancelled or replaced, on the thread that does so), with no lock of the engine
// held. Callbacks should not throw: what they do throw is logged. Thread safety: every method may
// be called from any thread and holds the lock only to hand over data.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "kernels/backend.h"
#include "models/config/config.h"
#include "models/prompts/exemplars.h"
#include "models/prompts/prompts.h"
#include "plugin/engine/object_region.h"
#include "plugin/engine/tag_policy.h"

namespace cliptag {

struct EngineOptions {
  std::string model = "starter";  // a name or a path, see FindModel
  BackendOptions backend;
  // Keeps backend.cuda_context valid; held for as long as the engine.
  std::shared_ptr<void> cuda_context_owner;
  int max_batch = 0;  // 0 = the backend's choice
};

// What is tagged.
enum class Regions : uint8_t {
  kFrame,
  kObjects,  // only `objects`, each with its own tags
  kBoth,
};

struct InferenceResult {
  Status status;  // not ok: no tags (kCancelled after a flush, or when a newer frame came)
  std::vector<Tag> tags;
  std::vector<TagEvent> events;
  std::vector<float> embedding;  // unit length
  // The frame showed what the last one did, and so did its objects: nothing was encoded. The tags
  // are as they stand by now; there may be events.
  bool still = false;
  Moment at;  // this and the next: as submitted
  uint64_t frame_number = 0;
};

struct InferenceRequest {
  FrameView frame;
  Fit fit = Fit::kModel;
  // The frame is encoded as overlapping squares that cover it, `tile_rows` of them along its
  // shorter side; a tag has the score of its best square. Objects stay as they are.
  bool tiles = false;
  int tile_rows = 2;
  Regions regions = Regions::kFrame;
  std::vector<ObjectRegion> objects;
  // A request of this stream that still waits, and may be replaced, too, is answered with
  // kCancelled, and this one takes its place in the queue and its deadline: at most one waits.
  // One that is `still` replaces only still ones, and is itself cancelled otherwise.
  bool replace = false;
  // The frame shows what the one before it showed: that one's embedding is used again, and time
  // goes on. Objects that are new or have moved are encoded all the same, and so is the frame if
  // this request asks for other parts of it.
  bool still = false;
  Moment at;
  uint64_t frame_number = 0;
  // The batch that holds this request is closed this long after submission at the latest.
  uint64_t batch_timeout_ns = 10'000'000;
  std::function<void(InferenceResult)> done;
};

struct StreamStats {
  uint64_t submitted = 0, inferred = 0, failed = 0, cancelled = 0;
  uint64_t replaced = 0;        // by a newer frame, before inference
  uint64_t pictures = 0;        // encoded: frames, tiles and objects
  uint64_t objects_reused = 0;  // whose embedding of an earlier frame stood
  size_t queued = 0;            // requests that wait now
  uint64_t batches = 0;         // that held a frame of this stream
  double mean_batch = 0;        // frames per batch, over those
  uint64_t latency_p50_ns = 0;  // submission to callback, over the last 512
  uint64_t latency_p99_ns = 0;
};

class EngineStream {
 public:
  virtual ~EngineStream() = default;  // cancels what is queued and waits for what runs

  // Encodes the prompts, and the decoded pictures in the spec, on the worker between batches, then
  // swaps them in at once; `done` gets the outcome (the old prompts stay on error).
  // Requests submitted before the swap may use the old ones. A newer call replaces an older one,
  // and closing the stream ends it, also while it is encoded (`done` then gets kCancelled).
  virtual void SetPrompts(PromptSpec spec,
                          std::function<void(Status, std::shared_ptr<const PromptBank>)> done) = 0;
  virtual void SetPolicy(const PolicyOptions& options) = 0;

  // Queues a frame. Requests of a stream are answered in order. An error means that it was not
  // accepted and `done` will not be called. Before any prompts are set every request is answered
  // with an empty tag list.
  virtual Status Submit(InferenceRequest request) = 0;

  // Cancels what is queued, waits for what runs, and resets the policy's state. After it returns no
  // callback of an earlier request will run.
  virtual void Flush() = 0;

  // What is queued runs at once, without waiting for its deadline (end of stream).
  virtual void Hurry() = 0;

  virtual StreamStats stats() const = 0;
};

class Engine : public std::enable_shared_from_this<Engine> {
 public:
  // Loads the model and checks it (SelfCheck). Blocks; errors are sentences for the user.
  static Result<std::shared_ptr<Engine>> Create(const EngineOptions& options);
  // The engine that runs in this process for the same model, device and precision, else a new one.
  // Its threads and largest batch are those of the first caller.
  static Result<std::shared_ptr<Engine>> Share(const EngineOptions& options);
  virtual ~Engine() = default;

  virtual std::unique_ptr<EngineStream> OpenStream() = 0;

  virtual const ModelConfig& model() const = 0;
  virtual const BackendInfo& backend() const = 0;
  virtual int max_batch() const = 0;
  // Measured at the start: preprocess and encode a full batch, as many times as it takes for one
  // picture of every stream there is.
  virtual uint64_t expected_latency_ns() const = 0;
};

}  // namespace cliptag
