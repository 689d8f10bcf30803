// Prompts to banks, on the engine's worker: in chunks, with batches of frames served in between,
// and ended there when they are not wanted any more.
#include <algorithm>
#include <utility>

#include "kernels/base/caught.h"
#include "kernels/base/log.h"
#include "models/prompts/bank_file.h"
#include "plugin/engine/engine_impl.h"

namespace cliptag {
namespace {

constexpr double kChunkMs = 10;  // of encoding texts before frames that wait have their turn
constexpr size_t kMany = 500;
// Texts and pictures of a job that may run between the chunks of a larger one: a few labels in all
// the templates that there are.
constexpr size_t kSmallJob = 2000;

// Everything that a bank follows from, each text behind its length.
std::string KeyOf(const PromptSpec& spec) {
  std::string key;
  const auto text = [&](const std::string& value) {
    key += std::to_string(value.size());
    key += ':';
    key += value;
  };
  const auto list = [&](const std::vector<std::string>& values) {
    key += std::to_string(values.size());
    key += '[';
    for (const std::string& value : values) text(value);
  };
  list(spec.templates);
  list(spec.background);
  text(spec.bank.identity);
  for (const TagSpec& tag : spec.tags) {
    text(tag.label);
    list(tag.prompts);
    list(tag.negatives);
    if (tag.row) text({reinterpret_cast<const char*>(tag.row->data()), 4 * tag.row->size()});
    for (const double value : {tag.threshold, tag.off_threshold, tag.min_duration_s})
      key += std::to_string(value) += ',';
  }
  return key;
}

}  // namespace

StreamImpl* EngineImpl::NextJobStream(size_t largest) {
  // In turn, as with frames: a stream that changes its prompts all the time must not be the only
  // one.
  for (size_t i = 0; i < streams_.size(); ++i) {
    StreamImpl* stream = streams_[(next_job_ + i) % streams_.size()];
    if (stream->job_ && stream->job_->size <= largest) return stream;
  }
  return nullptr;
}

void EngineImpl::RunNextJob(std::unique_lock<std::mutex>& lock, StreamImpl* stream) {
  PromptJob job = std::move(*stream->job_);
  stream->job_.reset();
  stream->encoding_ = true;
  ++next_job_;
  lock.unlock();
  RunJob(stream, std::move(job));
  lock.lock();
}

Status EngineImpl::BetweenChunks(size_t done) {
  RunningJob& job = running_job_;
  job.done += done;
  ServeOneBatch();
  LogProgress();
  std::unique_lock lock(mutex_);
  if (job.stream->closing_) return CancelledFor("the stream was closed");
  if (job.stream->job_) return CancelledFor("newer prompts were set");
  if (job.within_another) return {};
  // Two labels of another stream do not wait for a hundred thousand of this one.
  const size_t left = job.size - std::min(job.done, job.size);
  if (StreamImpl* other = NextJobStream(std::min(left, kSmallJob))) RunNextJob(lock, other);
  return {};
}

Status EngineImpl::EncodeTexts(std::span<const std::string> texts, float* rows,
                               std::vector<std::string>* truncated) {
  size_t counted = 0;
  CLIPTAG_RETURN_IF_ERROR(
      text_cache_.Encode(*model_, texts, rows, truncated, kChunkMs, [&](size_t done) {
        const size_t more = done - std::exchange(counted, done);
        return BetweenChunks(more);
      }));
  // Ten thousand that are known take some time, too.
  if (counted < texts.size() && texts.size() >= kMany) return BetweenChunks(texts.size() - counted);
  running_job_.done += texts.size() - counted;
  return {};
}

// In batches as small as a chunk of texts is short; the encoder's own are for frames in a hurry.
Status EngineImpl::EncodePictures(std::span<const FrameView> pictures, float* rows) {
  const double picture_ms = static_cast<double>(batch_ns_) / 1e6 / max_batch_;
  const auto chunk = static_cast<size_t>(std::clamp<double>(kChunkMs / picture_ms, 1, max_batch_));
  const size_t dim = static_cast<size_t>(model_->config().embed_dim);
  for (size_t done = 0; done < pictures.size(); done += chunk) {
    const auto part = pictures.subspan(done, std::min(chunk, pictures.size() - done));
    CLIPTAG_RETURN_IF_ERROR(
        model_->image().Encode(part, model_->config().preprocess, rows + done * dim));
    CLIPTAG_RETURN_IF_ERROR(BetweenChunks(part.size()));
  }
  return {};
}

void EngineImpl::LogProgress() {
  constexpr auto kEvery = std::chrono::seconds(1);
  RunningJob& job = running_job_;
  const Clock::time_point now = Clock::now();
  if (now - job.logged < kEvery) return;
  job.logged = now;
  Log(LogLevel::kInfo, "prompts: " + std::to_string(job.done) + " of " + std::to_string(job.size) +
                           " texts and pictures are encoded");
}

Result<std::shared_ptr<LoadedBank>> EngineImpl::LoadBank(std::shared_ptr<const PromptBank> bank) {
  auto loaded = std::make_shared<LoadedBank>();
  HostTensor rows{bank->rows.data(), DType::kF32, {bank->row_count(), bank->dim}};
  CLIPTAG_ASSIGN_OR_RETURN(loaded->rows, backend_->Upload(rows, DType::kF32));
  const size_t bytes = sizeof(float) * max_batch_ * bank->row_count();
  CLIPTAG_ASSIGN_OR_RETURN(loaded->cosines, backend_->Allocate(bytes));
  loaded->bank = std::move(bank);
  return loaded;
}

Result<std::shared_ptr<LoadedBank>> EngineImpl::BankFor(PromptSpec spec) {
  CLIPTAG_RETURN_IF_ERROR(FitToModel(model_->config(), model_->text_identity(), &spec));
  // Pictures are decoded per stream: to compare them would take longer than to encode them.
  const bool shared = std::all_of(spec.tags.begin(), spec.tags.end(),
                                  [](const TagSpec& tag) { return tag.pictures.empty(); });
  const std::string key = shared ? KeyOf(spec) : std::string();
  if (const auto known = banks_.find(key); shared && known != banks_.end()) {
    if (std::shared_ptr<LoadedBank> bank = known->second.lock()) return bank;
  }
  auto encode = [this](std::span<const std::string> texts, float* rows,
                       std::vector<std::string>* truncated) {
    return EncodeTexts(texts, rows, truncated);
  };
  auto encode_pictures = [this](std::span<const FrameView> pictures, float* rows) {
    return EncodePictures(pictures, rows);
  };
  CLIPTAG_ASSIGN_OR_RETURN(
      std::shared_ptr<const PromptBank> bank,
      BuildPromptBank(std::move(spec), model_->config().embed_dim, encode, encode_pictures));
  // Between the steps that take long with ten thousand rows.
  if (static_cast<size_t>(bank->row_count()) >= kMany) CLIPTAG_RETURN_IF_ERROR(BetweenChunks(0));
  CLIPTAG_ASSIGN_OR_RETURN(std::shared_ptr<LoadedBank> loaded, LoadBank(std::move(bank)));
  std::erase_if(banks_, [](const auto& entry) { return entry.second.expired(); });
  if (shared) banks_[key] = loaded;
  return loaded;
}

void EngineImpl::RunJob(StreamImpl* stream, PromptJob job) noexcept {
  const bool within_another = running_job_.stream != nullptr;
  const RunningJob outer = std::exchange(
      running_job_, {stream, within_another, job.size, /*done=*/0, /*logged=*/Clock::now()});
  std::shared_ptr<LoadedBank> loaded;
  Status status = Catching([&]() -> Status {
    CLIPTAG_ASSIGN_OR_RETURN(loaded, BankFor(std::move(job.spec)));
    return {};
  });
  running_job_ = outer;
  std::shared_ptr<LoadedBank> replaced;  // destroyed without the lock
  if (loaded) {
    std::lock_guard lock(mutex_);
    replaced = std::exchange(stream->bank_, loaded);
  }
  try {
    job.done(std::move(status), loaded ? loaded->bank : nullptr);
  } catch (...) {
    LogCaughtException("A callback of the engine threw");
  }
  job = {};  // and what the callback holds, before the stream may go
  {
    std::lock_guard lock(mutex_);
    stream->encoding_ = false;
  }
  idle_.notify_all();
}

}  // namespace cliptag
