#include <algorithm>
#include <utility>

#include "kernels/base/caught.h"
#include "plugin/engine/engine_impl.h"
#include "plugin/engine/frame_parts.h"

namespace cliptag {
namespace {

void Cancel(InferenceRequest& request, const char* why) noexcept {
  InferenceResult result;
  result.status = CancelledFor(why);
  result.at = request.at;
  result.frame_number = request.frame_number;
  try {
    request.done(std::move(result));
  } catch (...) {
    LogCaughtException("A callback of the engine threw");
  }
}

void Cancel(PromptJob& job, const char* why) noexcept {
  try {
    job.done(CancelledFor(why), nullptr);
  } catch (...) {
    LogCaughtException("A callback of the engine threw");
  }
}

// Those of which no batch has all pictures: the worker will not answer them.
void Cancel(const std::deque<RequestPtr>& requests) {
  for (const RequestPtr& pending : requests) Cancel(pending->request, "flushed");
}

}  // namespace

Status CancelledFor(const char* why) noexcept {
  try {
    return Cancelled(why);
  } catch (...) {
    return {StatusCode::kCancelled, ""};
  }
}

StreamImpl::StreamImpl(std::shared_ptr<EngineImpl> engine) : engine_(std::move(engine)) {
  std::lock_guard lock(engine_->mutex_);
  engine_->streams_.push_back(this);
}

StreamImpl::~StreamImpl() {
  std::deque<RequestPtr> cancelled;
  std::optional<PromptJob> job;
  {
    std::unique_lock lock(engine_->mutex_);
    closing_ = true;
    cancelled.swap(queue_);
    job.swap(job_);
    engine_->idle_.wait(lock, [this] { return running_ == 0 && !encoding_; });
    auto& streams = engine_->streams_;
    streams.erase(std::find(streams.begin(), streams.end(), this));
  }
  Cancel(cancelled);
  if (job) Cancel(*job, "the stream was closed");
}

void StreamImpl::SetPrompts(PromptSpec spec, PromptsDone done) {
  std::optional<PromptJob> overtaken;
  size_t size = CountTexts(spec);
  for (const TagSpec& tag : spec.tags) size += tag.pictures.size();
  {
    std::lock_guard lock(engine_->mutex_);
    overtaken.swap(job_);
    job_.emplace(PromptJob{std::move(spec), std::move(done), size});
  }
  engine_->work_.notify_one();
  if (overtaken) Cancel(*overtaken, "newer prompts were set");
}

void StreamImpl::SetPolicy(const PolicyOptions& options) {
  std::lock_guard lock(engine_->mutex_);
  policy_options_ = options;
}

Status StreamImpl::Submit(InferenceRequest request) {
  return Catching([&] { return Queue(std::move(request)); });
}

Status StreamImpl::Queue(InferenceRequest request) {
  auto pending = std::make_shared<PendingRequest>();
  pending->submitted = Clock::now();
  pending->deadline = pending->submitted + std::chrono::nanoseconds(request.batch_timeout_ns);
  if (request.tiles && request.regions != Regions::kObjects)
    pending->tiles =
        TilesOf(AreaOf(request.frame), std::max(1, request.tile_rows), request.frame.pixel);
  pending->request = std::move(request);
  const bool still = pending->request.still;
  RequestPtr replaced;
  {
    std::lock_guard lock(engine_->mutex_);
    if (closing_) return Cancelled("the stream is closing");
    const bool may_replace = pending->request.replace && !queue_.empty() &&
                             queue_.back()->request.replace && queue_.back()->taken == 0;
    if (may_replace && still && !queue_.back()->request.still) {
      replaced = std::move(pending);  // time goes on with the one that waits
    } else if (may_replace) {
      replaced = std::exchange(queue_.back(), pending);
      pending->deadline = std::min(pending->deadline, replaced->deadline);
      if (!replaced->request.still) ++stats_.replaced;
    } else {
      queue_.push_back(std::move(pending));
    }
    if (!still) ++stats_.submitted;
  }
  engine_->work_.notify_one();
  if (replaced) Cancel(replaced->request, "a newer frame came");
  return {};
}

void StreamImpl::Flush() {
  std::deque<RequestPtr> cancelled;
  {
    std::unique_lock lock(engine_->mutex_);
    cancelled.swap(queue_);
    stats_.cancelled += cancelled.size();
    engine_->idle_.wait(lock, [this] { return running_ == 0; });
    policy_.Reset({}, nullptr);
    last_inference_.Reset();
    last_tracks_.clear();
    tracks_.Reset();
  }
  Cancel(cancelled);
}

void StreamImpl::Hurry() {
  {
    std::lock_guard lock(engine_->mutex_);
    const Clock::time_point now = Clock::now();
    for (const RequestPtr& pending : queue_) pending->deadline = now;
  }
  engine_->work_.notify_one();
}

void StreamImpl::Record(const PendingRequest& pending, Clock::time_point now) {
  for (const ObjectTracks::Sighting& sighting : pending.objects)
    stats_.objects_reused += sighting.encode ? 0 : 1;
  if (pending.still) return;
  if (pending.request.still) ++stats_.submitted;  // was encoded after all
  if (pending.status.ok())
    ++stats_.inferred;
  else
    ++stats_.failed;
  latencies_ns_.Add(static_cast<uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(now - pending.submitted).count()));
}

StreamStats StreamImpl::stats() const {
  StreamStats stats;
  {
    std::lock_guard lock(engine_->mutex_);
    stats = stats_;
    stats.queued = queue_.size();
    if (stats.batches > 0) stats.mean_batch = static_cast<double>(batched_frames_) / stats.batches;
  }
  stats.latency_p50_ns = latencies_ns_.Quantile(0.5);
  stats.latency_p99_ns = latencies_ns_.Quantile(0.99);
  return stats;
}

}  // namespace cliptag
