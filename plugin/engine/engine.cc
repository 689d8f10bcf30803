#include "plugin/engine/engine.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "kernels/base/log.h"
#include "models/load_model.h"
#include "plugin/engine/engine_impl.h"

namespace cliptag {
namespace {

constexpr int kCpuBatch = 4;  // weights are read once for four frames; more adds latency alone
constexpr int kDeviceBatch = 32;

}  // namespace

Result<std::shared_ptr<Engine>> Engine::Create(const EngineOptions& options) {
  CLIPTAG_ASSIGN_OR_RETURN(const std::string directory, FindModel(options.model));
  int max_batch = 0;
  CLIPTAG_ASSIGN_OR_RETURN(
      LoadedModel loaded, LoadModel(directory, options.backend, [&](ClipModel& model) -> Status {
        const bool cpu = model.backend().info().name == "cpu";
        max_batch = options.max_batch > 0 ? options.max_batch : cpu ? kCpuBatch : kDeviceBatch;
        CLIPTAG_RETURN_IF_ERROR(model.image().Setup(max_batch));
        return model.SelfCheck();
      }));
  auto engine = std::make_shared<EngineImpl>(options.cuda_context_owner, std::move(loaded.backend),
                                             std::move(loaded.model));
  CLIPTAG_RETURN_IF_ERROR(engine->Start(max_batch));
  return std::shared_ptr<Engine>(std::move(engine));
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
  batch_.reserve(max_batch);
  next_batch_.reserve(max_batch);
  frames_.reserve(max_batch);

  // One full batch on the clock, warm: what the LATENCY query will promise.
  const std::vector<uint8_t> grey(static_cast<size_t>(640) * 480 * 3, 128);
  const std::vector<FrameView> frames(max_batch,
                                      RgbView(grey.data(), 640 * 3, 640, 480, RgbOrder::kRgb));
  for (int run = 0; run < 2; ++run) {
    const Clock::time_point begin = Clock::now();
    CLIPTAG_RETURN_IF_ERROR(
        model_->image().Encode(frames, model_->config().preprocess, host_embeddings_.data()));
    expected_latency_ns_ =
        std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - begin).count();
  }
  Log(LogLevel::kInfo, "model " + model_->config().name + " on " + backend_->info().description +
                           ", " + ToString(backend_->info().precision) + ", batch of " +
                           std::to_string(max_batch) + " in " +
                           std::to_string(expected_latency_ns_ / 1000) + " us");
  worker_ = std::thread([this] { Loop(); });
  return {};
}

std::unique_ptr<EngineStream> EngineImpl::OpenStream() {
  return std::make_unique<StreamImpl>(std::static_pointer_cast<EngineImpl>(shared_from_this()));
}

// A batch is due when it is full or its oldest request's deadline has come; else `next` is when.
bool EngineImpl::BatchDue(Clock::time_point now, Clock::time_point* next) const {
  size_t queued = 0;
  *next = Clock::time_point::max();
  for (const StreamImpl* stream : streams_) {
    queued += stream->queue_.size();
    // Deadlines within a stream need not be in order: batch-timeout may change while playing.
    for (const PendingRequest& pending : stream->queue_) *next = std::min(*next, pending.deadline);
  }
  return queued > 0 && (queued >= static_cast<size_t>(max_batch_) || *next <= now);
}

bool EngineImpl::TakeBatch(Clock::time_point now, Batch* batch) {
  Clock::time_point next;
  if (!BatchDue(now, &next)) return false;
  batch->clear();
  // One request of each stream per round, beginning where the last batch ended, until full. A batch
  // holds one fit alone: it is preprocessed in one call.
  bool took = true;
  while (took && batch->size() < static_cast<size_t>(max_batch_)) {
    took = false;
    for (size_t i = 0; i < streams_.size() && batch->size() < static_cast<size_t>(max_batch_);
         ++i) {
      StreamImpl* stream = streams_[(next_stream_ + i) % streams_.size()];
      if (stream->queue_.empty()) continue;
      if (!batch->empty() &&
          stream->queue_.front().request.fit != batch->front().pending.request.fit)
        continue;
      batch->push_back({.stream = stream,
                        .pending = std::move(stream->queue_.front()),
                        .bank = stream->bank_,
                        .policy = stream->policy_options_});
      stream->queue_.pop_front();
      ++stream->running_;
      took = true;
    }
  }
  next_stream_ = (next_stream_ + batch->size()) % streams_.size();
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
      PromptJob job = std::move(*job_stream->job_);
      job_stream->job_.reset();
      job_stream->encoding_ = true;
      lock.unlock();
      RunJob(job_stream, std::move(job));
      lock.lock();
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
    if (status.ok()) {
      auto encoded = model_->image().EncodePrepared(static_cast<int>(batch_.size()));
      if (encoded.ok()) embeddings = *encoded;
      status = encoded.status();
    }
    Status next_status;
    lock.lock();
    // Prompts that wait have their turn first.
    more = go_on && NextJobStream() == nullptr && TakeBatch(Clock::now(), &next_batch_);
    lock.unlock();
    if (more) next_status = Prepare(next_batch_);
    if (status.ok()) status = Score(batch_, embeddings);
    Answer(batch_, status);
    lock.lock();
    FinishBatch(batch_);
    if (!more) return;
    lock.unlock();
    std::swap(batch_, next_batch_);
    status = next_status;
  }
}

Status EngineImpl::Prepare(const Batch& batch) {
  frames_.clear();
  for (const BatchItem& item : batch) frames_.push_back(item.pending.request.frame);
  PreprocessSpec spec = model_->config().preprocess;
  const Fit fit = batch.front().pending.request.fit;
  if (fit != Fit::kModel) spec.fit = fit;
  return model_->image().Preprocess(frames_, spec);
}

Status EngineImpl::Score(Batch& batch, const Matrix& embeddings) {
  const int n = static_cast<int>(batch.size());
  CLIPTAG_RETURN_IF_ERROR(backend_->CopyToHost(embeddings.Rows(0, n), host_embeddings_.data()));

  const int64_t dim = model_->config().embed_dim;
  for (int first = 0; first < n;) {
    // Neighbours with the same bank share one product.
    const LoadedBank* bank = batch[first].bank.get();
    int end = first + 1;
    while (end < n && batch[end].bank.get() == bank) ++end;
    const int64_t rows = bank ? bank->bank->row_count() : 0;
    if (bank) {
      const Matrix bank_rows{bank->rows->data(), DType::kF32, rows, dim, dim};
      const Matrix cosines{bank->cosines->data(), DType::kF32, end - first, rows, rows};
      CLIPTAG_RETURN_IF_ERROR(backend_->Similarity(embeddings.Rows(first, end - first), bank_rows,
                                                   cosines, 0, nullptr));
      host_cosines_.resize((end - first) * rows);
      CLIPTAG_RETURN_IF_ERROR(backend_->CopyToHost(cosines, host_cosines_.data()));
    }
    for (int i = first; i < end; ++i)
      ScoreItem(batch[i], host_embeddings_.data() + i * dim,
                bank ? host_cosines_.data() + (i - first) * rows : nullptr);
    first = end;
  }
  return {};
}

void EngineImpl::ScoreItem(BatchItem& item, const float* embedding, const float* cosines) {
  const ModelConfig& config = model_->config();
  InferenceResult& result = item.result;
  result.embedding.assign(embedding, embedding + config.embed_dim);
  for (float x : result.embedding) {
    if (std::isfinite(x)) continue;
    result.status =
        Internal("model " + config.name + " gave an embedding that holds NaN or infinity");
    return;
  }
  if (!cosines) return;
  const std::shared_ptr<const PromptBank>& bank = item.bank->bank;
  result.tags = item.stream->policy_.Update(bank, std::span(cosines, bank->row_count()),
                                            item.policy, config.logit_scale, config.logit_bias,
                                            item.pending.request.pts_ns, &result.events);
}

void EngineImpl::Answer(Batch& batch, const Status& status) {
  for (BatchItem& item : batch) {
    if (!status.ok()) {
      item.result = {};
      item.result.status = status;
    }
    item.result.pts_ns = item.pending.request.pts_ns;
    item.result.frame = item.pending.request.frame_number;
    // The callback, and what it holds, goes before the books are closed: never under the lock.
    const Status own = item.result.status;
    const auto done = std::exchange(item.pending.request.done, nullptr);
    done(std::move(item.result));
    item.result.status = own;
  }
}

void EngineImpl::FinishBatch(Batch& batch) {
  const Clock::time_point now = Clock::now();
  for (size_t i = 0; i < batch.size(); ++i) {
    StreamImpl* stream = batch[i].stream;
    --stream->running_;
    stream->Record(batch[i].pending, batch[i].result.status, now);
    const bool first_of_stream =
        std::none_of(batch.begin(), batch.begin() + i,
                     [&](const BatchItem& other) { return other.stream == stream; });
    if (!first_of_stream) continue;
    ++stream->stats_.batches;
    stream->batched_frames_ += batch.size();
  }
  batch.clear();
  idle_.notify_all();
}

}  // namespace cliptag
