// The engine's insides, shared by engine.cc (worker), engine_batch.cc (what it does with a batch),
// engine_stream.cc (streams) and prompt_encoder.cc.
//
// A request is one picture or several (tiles, objects). Pictures are what batches are made of, so a
// request may be spread over some; it is answered when its last one is done.
//
// Threads: N streaming threads call StreamImpl; one worker runs Loop(). `mutex_` guards every
// member marked so, of the engine and of its streams alike, and is never held while the model runs
// or a callback is called. The model and its backend belong to the worker once it runs. An
// exception on the worker becomes the status of the requests or the prompt job that it was working
// on.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "models/clip_model.h"
#include "models/prompts/text_cache.h"
#include "plugin/engine/engine.h"
#include "plugin/engine/last_inference.h"
#include "plugin/engine/object_tracks.h"
#include "plugin/engine/recent_values.h"

namespace cliptag {

using Clock = std::chrono::steady_clock;

// A prompt bank with its rows in backend memory.
struct LoadedBank {
  std::shared_ptr<const PromptBank> bank;
  std::unique_ptr<Memory> rows;     // (rows, dim) f32
  std::unique_ptr<Memory> cosines;  // (max_batch, rows) f32
};

using PromptsDone = std::function<void(Status, std::shared_ptr<const PromptBank>)>;

struct PromptJob {
  PromptSpec spec;
  PromptsDone done;
  size_t size = 0;  // texts and pictures to encode
};

struct PendingRequest {
  InferenceRequest request;
  Clock::time_point submitted;
  Clock::time_point deadline;  // guarded by the engine's mutex, as `taken` and the next
  std::vector<Rect> tiles;     // of the frame, if it is encoded in tiles

  // From here on set when the worker takes the first picture, and the worker's own.
  std::shared_ptr<LoadedBank> bank;
  PolicyOptions policy;
  std::vector<Rect> pictures;  // what is encoded; of width 0: the frame as a whole
  size_t first_object = 0;     // of the pictures
  bool stands = false;         // the last inference of the frame does: of it nothing is encoded
  std::vector<ObjectTracks::Sighting> objects;
  size_t taken = 0;  // pictures that are in a batch or done
  size_t done = 0;
  bool still = false;             // nothing has changed
  std::vector<float> embeddings;  // (pictures, dim)
  std::vector<float> cosines;     // (pictures, rows of the bank)
  Status status;                  // the first thing that went wrong
};
using RequestPtr = std::shared_ptr<PendingRequest>;

// Cancelled(), also where there is no memory to say why.
Status CancelledFor(const char* why) noexcept;

class EngineImpl;

class StreamImpl final : public EngineStream {
 public:
  explicit StreamImpl(std::shared_ptr<EngineImpl> engine);
  ~StreamImpl() override;

  void SetPrompts(PromptSpec spec, PromptsDone done) override;
  void SetPolicy(const PolicyOptions& options) override;
  Status Submit(InferenceRequest request) override;
  void Flush() override;
  void Hurry() override;
  StreamStats stats() const override;

 private:
  friend class EngineImpl;
  Status Queue(InferenceRequest request);  // may throw; then it is not accepted
  void Record(const PendingRequest& request, Clock::time_point now);

  const std::shared_ptr<EngineImpl> engine_;
  // Guarded by engine_->mutex_.
  std::deque<RequestPtr> queue_;  // with pictures that no batch has yet
  int running_ = 0;               // items of this stream in batches
  bool encoding_ = false;         // the worker runs a prompt job of this stream
  bool closing_ = false;
  PolicyOptions policy_options_;
  std::shared_ptr<LoadedBank> bank_;
  std::optional<PromptJob> job_;
  StreamStats stats_;
  uint64_t batched_frames_ = 0;  // sum of the sizes of its batches
  RecentValues latencies_ns_;
  // Touched by the worker when it takes a request and while running_ > 0, by Flush (with the lock)
  // while that is 0.
  TagPolicy policy_;
  LastInference last_inference_;
  ObjectTracks tracks_;
  std::vector<int64_t> last_tracks_;  // sorted, of the last answer
};

class EngineImpl final : public Engine {
 public:
  EngineImpl(std::shared_ptr<void> context_owner, std::unique_ptr<Backend> backend,
             std::unique_ptr<ClipModel> model);
  ~EngineImpl() override;

  // Measures the model, which is set up for that batch, and starts the worker.
  Status Start(int max_batch);

  std::unique_ptr<EngineStream> OpenStream() override;
  const ModelConfig& model() const override { return model_->config(); }
  const BackendInfo& backend() const override { return backend_->info(); }
  int max_batch() const override { return max_batch_; }
  uint64_t expected_latency_ns() const override;

 private:
  friend class StreamImpl;

  // One picture of a request; kNone for a request of which nothing has to be encoded.
  struct BatchItem {
    StreamImpl* stream = nullptr;
    RequestPtr pending;
    size_t picture = kNone;
  };
  static constexpr size_t kNone = SIZE_MAX;

  struct Batch {
    std::vector<BatchItem> items;  // in the order of their answers
    std::vector<size_t> pictures;  // those of the items that have one; 0..max_batch
    void Clear() {
      items.clear();
      pictures.clear();
    }
    // For another item, so that adding one cannot fail; there always is some for a full batch.
    bool HasRoom() noexcept;
  };

  void Loop();
  // With the lock held: moves what may run now into `batch`; false when nothing is due.
  bool TakeBatch(Clock::time_point now, Batch* batch);
  bool TakePicture(StreamImpl* stream, Batch* batch);
  bool BatchDue(Clock::time_point now, Clock::time_point* next) const;
  // A stream with a prompt job that waits, of that size at most.
  StreamImpl* NextJobStream(size_t largest = SIZE_MAX);
  void RunNextJob(std::unique_lock<std::mutex>& lock, StreamImpl* stream);
  // Runs batch_, which has been taken, and with `go_on` what is due by then: the next batch's
  // frames are brought to a device while it computes. The lock is held before and after.
  void RunBatches(std::unique_lock<std::mutex>& lock, bool go_on);
  void ServeOneBatch();
  // Between two chunks of a prompt job: what waits has its turn. An error if the job is not wanted
  // any more.
  Status BetweenChunks(size_t done);
  void LogProgress();
  void RunJob(StreamImpl* stream, PromptJob job) noexcept;  // without the lock

  // engine_batch.cc
  void Plan(StreamImpl* stream, PendingRequest* pending);  // what of the frame is encoded
  // If that cannot be planned, nothing is, and its status says why.
  void PlanOrFail(StreamImpl* stream, PendingRequest* pending) noexcept;
  Status Prepare(const Batch& batch);  // the frames, for the encoder
  Status Preprocess(std::span<const FrameView> frames, Fit fit);
  Status Score(const Batch& batch, const Matrix& embeddings);
  // Items first..end of the batch's pictures, which have the same bank.
  Status ScoreNeighbours(const Batch& batch, const Matrix& embeddings, int first, int end);
  void Keep(const BatchItem& item, const float* embedding, const float* cosines);
  InferenceResult ResultOf(StreamImpl* stream, PendingRequest* pending);
  void KeepInference(StreamImpl* stream, PendingRequest* pending);
  void TagFrame(StreamImpl* stream, PendingRequest* pending, InferenceResult* result);
  void TagObjects(StreamImpl* stream, PendingRequest* pending, InferenceResult* result);
  // The callbacks, without the lock.
  void Answer(const Batch& batch, const Status& status) noexcept;
  void FinishBatch(Batch* batch);  // bookkeeping, with the lock

  // prompt_encoder.cc
  Status EncodeTexts(std::span<const std::string> texts, float* rows,
                     std::vector<std::string>* truncated);
  // The bank for those prompts; streams that ask for the same ones share it.
  Result<std::shared_ptr<LoadedBank>> BankFor(PromptSpec spec);
  Status EncodePictures(std::span<const FrameView> pictures, float* rows);
  Result<std::shared_ptr<LoadedBank>> LoadBank(std::shared_ptr<const PromptBank> bank);

  const std::shared_ptr<void> context_owner_;  // of the context that backend_ works in
  const std::unique_ptr<Backend> backend_;
  const std::unique_ptr<ClipModel> model_;  // after backend_: destroyed before it
  int max_batch_ = 1;
  uint64_t batch_ns_ = 0;  // that a full batch takes

  mutable std::mutex mutex_;
  std::condition_variable work_;      // something to do for the worker
  std::condition_variable idle_;      // a stream's running_ or encoding_ fell
  std::vector<StreamImpl*> streams_;  // guarded by mutex_
  size_t next_stream_ = 0;            // guarded by mutex_: round robin of pictures
  size_t next_job_ = 0;               // and of prompt jobs
  bool stop_ = false;                 // guarded by mutex_

  // The worker's own.
  Batch batch_, next_batch_;
  std::vector<FrameView> frames_;
  std::vector<uint8_t> grey_;           // a picture for what cannot be read
  std::vector<float> host_embeddings_;  // (max_batch, embed_dim)
  std::vector<float> host_cosines_;
  TextCache text_cache_;
  std::map<std::string, std::weak_ptr<LoadedBank>> banks_;  // by what they were made of
  // The prompt job that runs; a small one of another stream may run between the chunks of a large
  // one.
  struct RunningJob {
    StreamImpl* stream = nullptr;
    bool within_another = false;
    size_t size = 0, done = 0;
    Clock::time_point logged;
  };
  RunningJob running_job_;
  std::thread worker_;
};

}  // namespace cliptag
