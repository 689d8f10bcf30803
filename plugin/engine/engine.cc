#include "plugin/engine/engine.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "kernels/base/caught.h"
#include "kernels/base/log.h"
#include "models/config/find_model.h"
#include "models/load_model.h"
#include "plugin/engine/engine_impl.h"

namespace cliptag {
namespace {

constexpr int kCpuBatch = 4;  // weights are read once for four frames; more only adds latency
constexpr int kDeviceBatch = 32;
constexpr int kTryWidth = 640, kTryHeight = 480;

Result<std::shared_ptr<Engine>> Make(const EngineOptions& options) {
  CLIPTAG_ASSIGN_OR_RETURN(const std::string directory, FindModel(options.model));
  int max_batch = 0;
  CLIPTAG_ASSIGN_OR_RETURN(
      LoadedModel loaded, LoadModel(directory, options.backend, [&](ClipModel& model) -> Status {
        const bool cpu = model.backend().info().kind == BackendKind::kCpu;
        max_batch = options.max_batch > 0 ? options.max_batch : cpu ? kCpuBatch : kDeviceBatch;
        CLIPTAG_RETURN_IF_ERROR(model.image().Setup(max_batch));
        return model.SelfCheck();
      }));
  auto engine = std::make_shared<EngineImpl>(options.cuda_context_owner, std::move(loaded.backend),
                                             std::move(loaded.model));
  CLIPTAG_RETURN_IF_ERROR(engine->Start(max_batch));
  return std::shared_ptr<Engine>(std::move(engine));
}

}  // namespace

Result<std::shared_ptr<Engine>> Engine::Create(const EngineOptions& options) {
  return Catching([&] { return Make(options); });
}

EngineImpl::EngineImpl(std::shared_ptr<void> context_owner, std::unique_ptr<Backend> backend,
                       std::unique_ptr<ClipModel> model)
    : context_owner_(std::move(context_owner)),
      backend_(std::move(backend)),
      model_(std::move(model)),
      text_cache_(*model_) {}

EngineImpl::~EngineImpl() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  work_.notify_one();
  if (worker_.joinable()) worker_.join();
}

Status EngineImpl::Start(int max_batch) {
  max_batch_ = max_batch;
  const int dim = model_->config().embed_dim;
  host_embeddings_.resize(static_cast<size_t>(max_batch) * dim);
  frames_.reserve(max_batch);
  for (Batch* batch : {&batch_, &next_batch_}) {
    batch->items.reserve(max_batch);
    batch->pictures.reserve(max_batch);
  }
  grey_.assign(size_t{kTryWidth} * kTryHeight * 3, 128);

  // One full batch on the clock, warm: what the LATENCY query will promise.
  const std::vector<FrameView> frames(
      max_batch, RgbView(grey_.data(), kTryWidth * 3, kTryWidth, kTryHeight, RgbOrder::kRgb));
  for (int run = 0; run < 2; ++run) {
    const Clock::time_point begin = Clock::now();
    CLIPTAG_RETURN_IF_ERROR(
        model_->image().Encode(frames, model_->config().preprocess, host_embeddings_.data()));
    batch_ns_ = std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - begin).count();
  }
  Log(LogLevel::kInfo, "model " + model_->config().name + " on " + backend_->info().description +
                           ", " + ToString(backend_->info().precision) + ", batch of " +
                           std::to_string(max_batch) + " in " + std::to_string(batch_ns_ / 1000) +
                           " us");
  worker_ = std::thread([this] { Loop(); });
  return {};
}

std::unique_ptr<EngineStream> EngineImpl::OpenStream() {
  return std::make_unique<StreamImpl>(std::static_pointer_cast<EngineImpl>(shared_from_this()));
}

uint64_t EngineImpl::expected_latency_ns() const {
  size_t streams = 0;
  {
    const std::lock_guard lock(mutex_);
    streams = streams_.size();
  }
  const size_t batches = (streams + max_batch_ - 1) / max_batch_;
  return batch_ns_ * std::max<size_t>(1, batches);
}

// A batch is due when it is full or its oldest request's deadline has come; else `next` is when.
bool EngineImpl::BatchDue(Clock::time_point now, Clock::time_point* next) const {
  size_t queued = 0;
  *next = Clock::time_point::max();
  for (const StreamImpl* stream : streams_) {
    // Deadlines within a stream need not be in order: batch-timeout may change while playing.
    for (const RequestPtr& pending : stream->queue_) {
      // Before it is planned a request counts its tiles; its objects may need no encoding.
      queued += pending->taken > 0 ? pending->pictures.size() - pending->taken
                                   : std::max<size_t>(1, pending->tiles.size());
      *next = std::min(*next, pending->deadline);
    }
  }
  return queued > 0 && (queued >= static_cast<size_t>(max_batch_) || *next <= now);
}

bool EngineImpl::TakePicture(StreamImpl* stream, Batch* batch) {
  const RequestPtr pending = stream->queue_.front();
  // All frames of a batch have the same fit: it is preprocessed in one call.
  if (!batch->pictures.empty() &&
      pending->request.fit != batch->items[batch->pictures.front()].pending->request.fit)
    return false;
  if (!batch->HasRoom()) return false;
  if (pending->taken == 0) PlanOrFail(stream, pending.get());
  BatchItem item{stream, pending, kNone};
  if (!pending->pictures.empty()) {
    item.picture = pending->taken++;
    batch->pictures.push_back(batch->items.size());
  }
  batch->items.push_back(std::move(item));
  ++stream->running_;
  if (pending->taken == pending->pictures.size()) stream->queue_.pop_front();
  return true;
}

bool EngineImpl::TakeBatch(Clock::time_point now, Batch* batch) {
  Clock::time_point next;
  if (!BatchDue(now, &next)) return false;
  batch->Clear();
  // One picture of each stream per round, beginning behind the stream that had the last one, until
  // full.
  const size_t streams = streams_.size();
  for (size_t in_vain = 0; in_vain < streams;) {
    if (batch->pictures.size() == static_cast<size_t>(max_batch_)) break;
    StreamImpl* stream = streams_[next_stream_ % streams];
    next_stream_ = (next_stream_ + 1) % streams;
    const bool took = !stream->queue_.empty() && TakePicture(stream, batch);
    in_vain = took ? 0 : in_vain + 1;
  }
  return true;
}

void EngineImpl::Loop() {
  std::unique_lock lock(mutex_);
  bool job_turn = false;  // batches and prompt jobs alternate, so that neither starves the other
  while (!stop_) {
    const Clock::time_point now = Clock::now();
    StreamImpl* job_stream = NextJobStream();
    if (!(job_turn && job_stream) && TakeBatch(now, &batch_)) {
      RunBatches(lock, /*go_on=*/backend_->info().asynchronous);
      job_turn = true;
      continue;
    }
    job_turn = false;
    if (job_stream) {
      RunNextJob(lock, job_stream);
      continue;
    }
    Clock::time_point next;
    (void)BatchDue(now, &next);
    if (next == Clock::time_point::max())
      work_.wait(lock);
    else
      work_.wait_until(lock, next);
  }
}

void EngineImpl::ServeOneBatch() {
  std::unique_lock lock(mutex_);
  if (TakeBatch(Clock::now(), &batch_)) RunBatches(lock, /*go_on=*/false);
}

void EngineImpl::RunBatches(std::unique_lock<std::mutex>& lock, bool go_on) {
  lock.unlock();
  Status status = Prepare(batch_);
  for (bool more = true; more;) {
    Matrix embeddings;
    if (status.ok() && !batch_.pictures.empty()) {
      status = Catching([&]() -> Status {
        const int pictures = static_cast<int>(batch_.pictures.size());
        CLIPTAG_ASSIGN_OR_RETURN(embeddings, model_->image().EncodePrepared(pictures));
        return {};
      });
    }
    Status next_status;
    lock.lock();
    // Prompts that wait have their turn first.
    more = go_on && NextJobStream() == nullptr && TakeBatch(Clock::now(), &next_batch_);
    lock.unlock();
    if (more) next_status = Prepare(next_batch_);
    if (status.ok() && !batch_.pictures.empty()) {
      status = Catching([&] { return Score(batch_, embeddings); });
    }
    Answer(batch_, status);
    lock.lock();
    FinishBatch(&batch_);
    if (!more) return;
    lock.unlock();
    std::swap(batch_, next_batch_);
    status = std::move(next_status);
  }
}

}  // namespace cliptag
