#include "tests/elements/fake_engine.h"

#include <algorithm>
#include <deque>
#include <map>
#include <new>
#include <optional>
#include <thread>

namespace cliptag {

using Clock = std::chrono::steady_clock;

class FakeStream : public EngineStream {
 public:
  explicit FakeStream(std::shared_ptr<Engine> engine)
      : engine_(std::move(engine)), worker_([this] { Run(); }) {
    const std::lock_guard lock(control_.mutex_);
    ++control_.streams_;
  }

  ~FakeStream() override {
    Flush();
    {
      const std::lock_guard lock(control_.mutex_);
      stop_ = true;
      --control_.streams_;
    }
    control_.changed_.notify_all();
    worker_.join();
  }

  void SetPrompts(PromptSpec spec,
                  std::function<void(Status, std::shared_ptr<const PromptBank>)> done) override {
    if (control_.throws_at_prompts) throw std::bad_alloc();
    {
      const std::lock_guard lock(control_.mutex_);
      std::swap(job_spec_, spec);
      job_done_.swap(done);
    }
    control_.changed_.notify_all();
    if (done) done(Cancelled("overtaken"), nullptr);
  }

  void SetPolicy(const PolicyOptions& options) override {
    const std::lock_guard lock(control_.mutex_);
    control_.policy_ = options;
  }

  Status Submit(InferenceRequest request) override {
    std::optional<Waiting> replaced;
    {
      const std::lock_guard lock(control_.mutex_);
      const FrameView& v = request.frame;
      const bool readable = v.memory == FrameMemory::kHost;
      auto& seen = request.still ? control_.stills_ : control_.seen_;
      seen.push_back({v, request.fit, request.at, request.frame_number, request.batch_timeout_ns,
                      readable ? v.component[0].data[0] : -1, request.tiles, request.tile_rows,
                      request.regions, request.objects, request.replace});
      const auto deadline = Clock::now() + std::chrono::nanoseconds(request.batch_timeout_ns);
      if (request.replace && !queue_.empty() && request.still && !queue_.back().request.still) {
        std::swap(queue_.back().request, request);  // the one that waits stays
      }
      if (request.replace && !queue_.empty()) {
        replaced = std::move(queue_.back());
        queue_.pop_back();
      }
      queue_.push_back({std::move(request), deadline});
    }
    control_.changed_.notify_all();
    if (replaced) {
      InferenceResult result;
      result.status = Cancelled("a newer frame came");
      replaced->request.done(std::move(result));
    }
    return {};
  }

  void Flush() override {
    std::deque<Waiting> cancelled;
    {
      std::unique_lock lock(control_.mutex_);
      cancelled.swap(queue_);
      control_.cancelled_ += cancelled.size();
      control_.changed_.wait(lock, [this] { return !running_; });
      active_.clear();
    }
    for (Waiting& waiting : cancelled) {
      InferenceResult result;
      result.status = Cancelled("flushed");
      waiting.request.done(std::move(result));
    }
  }

  void Hurry() override {
    {
      const std::lock_guard lock(control_.mutex_);
      for (Waiting& waiting : queue_) waiting.deadline = Clock::now();
    }
    control_.changed_.notify_all();
  }

  StreamStats stats() const override {
    const std::lock_guard lock(control_.mutex_);
    StreamStats stats;
    stats.submitted = control_.seen_.size();
    stats.inferred = control_.answered_;
    stats.cancelled = control_.cancelled_;
    stats.batches = control_.batches_.size();
    return stats;
  }

 private:
  struct Waiting {
    InferenceRequest request;
    Clock::time_point deadline;
  };

  void Run() {
    std::unique_lock lock(control_.mutex_);
    while (!stop_) {
      if (job_done_ && !control_.hold_prompts_) {
        RunJob(lock);
      } else if (!queue_.empty() && !control_.hold_ &&
                 (queue_.size() >= static_cast<size_t>(engine_->max_batch()) ||
                  Clock::now() >= queue_.front().deadline)) {
        RunBatch(lock);
      } else if (!queue_.empty() && !control_.hold_) {
        // A copy: the queue may change while this waits, and wait_until() keeps a reference.
        const Clock::time_point deadline = queue_.front().deadline;
        control_.changed_.wait_until(lock, deadline);
      } else {
        control_.changed_.wait(lock);
      }
    }
  }

  void RunJob(std::unique_lock<std::mutex>& lock) {
    auto done = std::move(job_done_);
    job_done_ = nullptr;
    auto bank = std::make_shared<PromptBank>();
    bank->spec = job_spec_;
    Status status;
    for (const TagSpec& tag : bank->spec.tags) {
      if (tag.label == kUnencodable) status = InvalidArgument("The label cannot be encoded.");
      if (tag.label == kTooLong) bank->truncated.push_back(tag.label);
    }
    if (status.ok()) {
      control_.spec_ = bank->spec;
      ++control_.prompts_set_;
    }
    lock.unlock();
    done(status, status.ok() ? bank : nullptr);
    lock.lock();
  }

  void RunBatch(std::unique_lock<std::mutex>& lock) {
    std::vector<Waiting> batch;
    while (!queue_.empty() && batch.size() < static_cast<size_t>(engine_->max_batch())) {
      batch.push_back(std::move(queue_.front()));
      queue_.pop_front();
    }
    running_ = true;
    control_.batches_.push_back(batch.size());
    const auto latency = control_.latency_;
    std::vector<InferenceResult> results;
    for (const Waiting& waiting : batch) results.push_back(Answer(waiting.request));
    lock.unlock();
    std::this_thread::sleep_for(latency);
    for (size_t i = 0; i < batch.size(); ++i) batch[i].request.done(std::move(results[i]));
    lock.lock();
    control_.answered_ += static_cast<size_t>(std::count_if(
        batch.begin(), batch.end(), [](const Waiting& w) { return !w.request.still; }));
    running_ = false;
    control_.changed_.notify_all();
  }

  InferenceResult Answer(const InferenceRequest& request) {
    InferenceResult result;
    result.status = control_.infer_status_;
    result.at = request.at;
    result.frame_number = request.frame_number;
    if (!result.status.ok()) return result;
    result.still = request.still;
    if (!request.still) inferred_ = request.frame_number;
    result.embedding = {0.6f, 0.8f};
    for (const TagSpec& spec : control_.spec_.tags) {
      const double score = control_.score_ ? control_.score_(spec.label, inferred_) : 0.5;
      const bool active = score >= control_.policy_.threshold;
      result.tags.push_back({spec.label, score, score / 2, active});
      if (active != active_[spec.label]) {
        TagEvent event;
        event.label = spec.label;
        event.start = active;
        event.at = request.at;
        // A start is told late, as after a min-duration in which the score was higher still.
        const uint64_t held = active ? control_.policy_.min_duration_ns : 0;
        event.at = {event.at.time_ns - std::min(event.at.time_ns, held),
                    event.at.pts_ns - std::min(event.at.pts_ns, held)};
        event.score = score;
        event.duration_ns = active ? 0 : 7;
        event.peak = active && control_.policy_.min_duration_ns == 0 ? score : 0.9;
        result.events.push_back(event);
      }
      active_[spec.label] = active;
    }
    std::stable_sort(result.tags.begin(), result.tags.end(),
                     [](const Tag& a, const Tag& b) { return a.score > b.score; });
    if (control_.policy_.top_k > 0 &&
        result.tags.size() > static_cast<size_t>(control_.policy_.top_k)) {
      result.tags.resize(static_cast<size_t>(control_.policy_.top_k));
    }
    for (size_t i = 0; i < request.objects.size() && !control_.spec_.tags.empty(); ++i) {
      const ObjectRegion& object = request.objects[i];
      result.tags.push_back({.label = control_.spec_.tags.front().label,
                             .score = 0.5,
                             .region = object.rect,
                             .of_object = true,
                             .id = object.id,
                             .marked = object,
                             .track = static_cast<int64_t>(i)});
      if (std::exchange(active_["object " + std::to_string(i)], true)) continue;
      result.events.push_back({.label = result.tags.back().label,
                               .of_object = true,
                               .id = object.id,
                               .track = static_cast<int64_t>(i),
                               .start = true,
                               .at = request.at,
                               .score = 0.5,
                               .peak = 0.5});
    }
    return result;
  }

  FakeControl& control_ = FakeControl::Get();
  std::shared_ptr<Engine> engine_;
  // Guarded by the control's mutex, as are all that follow.
  std::deque<Waiting> queue_;
  PromptSpec job_spec_;
  std::function<void(Status, std::shared_ptr<const PromptBank>)> job_done_;
  std::map<std::string, bool> active_;
  uint64_t inferred_ = 0;  // number of the last frame that was not still
  bool running_ = false, stop_ = false;
  std::thread worker_;
};

class FakeEngine : public Engine {
 public:
  explicit FakeEngine(std::shared_ptr<void> context_owner)
      : context_owner_(std::move(context_owner)) {
    config_.name = control_.options_.model;
    config_.warnings = control_.model_warnings;
    info_.kind = control_.backend_kind;
    max_batch_ = control_.options_.max_batch > 0 ? control_.options_.max_batch : control_.max_batch;
    ++control_.engines_;
  }
  ~FakeEngine() override {
    const std::lock_guard lock(control_.mutex_);
    --control_.engines_;
  }

  std::unique_ptr<EngineStream> OpenStream() override {
    if (control_.throws_at_stream) throw std::bad_alloc();
    return std::make_unique<FakeStream>(shared_from_this());
  }
  const ModelConfig& model() const override { return config_; }
  const BackendInfo& backend() const override { return info_; }
  int max_batch() const override { return max_batch_; }
  uint64_t expected_latency_ns() const override {
    const std::lock_guard lock(control_.mutex_);
    return control_.expected_latency_ns;
  }

 private:
  FakeControl& control_ = FakeControl::Get();
  const std::shared_ptr<void> context_owner_;
  ModelConfig config_;
  BackendInfo info_;
  int max_batch_ = 1;
};

Result<std::shared_ptr<Engine>> Engine::Create(const EngineOptions& options) {
  FakeControl& control = FakeControl::Get();
  const std::lock_guard lock(control.mutex_);
  control.options_ = options;
  control.options_.cuda_context_owner = nullptr;
  if (!control.create_status.ok()) return control.create_status;
  return std::shared_ptr<Engine>(std::make_shared<FakeEngine>(options.cuda_context_owner));
}

Result<std::shared_ptr<Engine>> Engine::Share(const EngineOptions& options) {
  return Create(options);
}

FakeControl& FakeControl::Get() {
  static FakeControl control;
  return control;
}

void FakeControl::Reset() {
  const std::lock_guard lock(mutex_);
  max_batch = 4;
  expected_latency_ns = 3'000'000;
  create_status = {};
  backend_kind = BackendKind::kRef;
  model_warnings.clear();
  throws_at_stream = throws_at_prompts = false;
  score_ = nullptr;
  latency_ = {};
  infer_status_ = {};
  hold_ = hold_prompts_ = false;
  seen_.clear();
  stills_.clear();
  answered_ = cancelled_ = 0;
  batches_.clear();
  spec_ = {};
  policy_ = {};
  prompts_set_ = 0;
}

void FakeControl::SetScore(Score score) {
  const std::lock_guard lock(mutex_);
  score_ = std::move(score);
}
void FakeControl::SetLatency(std::chrono::milliseconds latency) {
  const std::lock_guard lock(mutex_);
  latency_ = latency;
}
void FakeControl::SetInferStatus(Status status) {
  const std::lock_guard lock(mutex_);
  infer_status_ = std::move(status);
}
void FakeControl::SetExpectedLatency(uint64_t ns) {
  const std::lock_guard lock(mutex_);
  expected_latency_ns = ns;
}
void FakeControl::Hold() {
  const std::lock_guard lock(mutex_);
  hold_ = true;
}
void FakeControl::Release() {
  {
    const std::lock_guard lock(mutex_);
    hold_ = false;
  }
  changed_.notify_all();
}
void FakeControl::HoldPrompts() {
  const std::lock_guard lock(mutex_);
  hold_prompts_ = true;
}
void FakeControl::ReleasePrompts() {
  {
    const std::lock_guard lock(mutex_);
    hold_prompts_ = false;
  }
  changed_.notify_all();
}

std::vector<FakeControl::Seen> FakeControl::seen() const {
  const std::lock_guard lock(mutex_);
  return seen_;
}
std::vector<FakeControl::Seen> FakeControl::stills() const {
  const std::lock_guard lock(mutex_);
  return stills_;
}
size_t FakeControl::answered() const {
  const std::lock_guard lock(mutex_);
  return answered_;
}
size_t FakeControl::cancelled() const {
  const std::lock_guard lock(mutex_);
  return cancelled_;
}
std::vector<size_t> FakeControl::batches() const {
  const std::lock_guard lock(mutex_);
  return batches_;
}
std::vector<std::string> FakeControl::labels() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> labels;
  for (const TagSpec& tag : spec_.tags) labels.push_back(tag.label);
  return labels;
}
PromptSpec FakeControl::spec() const {
  const std::lock_guard lock(mutex_);
  return spec_;
}
PolicyOptions FakeControl::policy() const {
  const std::lock_guard lock(mutex_);
  return policy_;
}
EngineOptions FakeControl::options() const {
  const std::lock_guard lock(mutex_);
  return options_;
}
int FakeControl::engines_alive() const {
  const std::lock_guard lock(mutex_);
  return engines_;
}
int FakeControl::streams_alive() const {
  const std::lock_guard lock(mutex_);
  return streams_;
}
int FakeControl::prompts_set() const {
  const std::lock_guard lock(mutex_);
  return prompts_set_;
}

}  // namespace cliptag
