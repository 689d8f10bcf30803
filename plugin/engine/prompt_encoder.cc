// Prompts to banks, on the engine's worker: in chunks, with batches of frames served in between.
#include <algorithm>
#include <utility>

#include "kernels/base/log.h"
#include "plugin/engine/engine_impl.h"

namespace cliptag {
namespace {

constexpr double kChunkMs = 10;  // of encoding texts between two looks at the frames that wait
constexpr size_t kMany = 500;

}  // namespace

StreamImpl* EngineImpl::NextJobStream() {
  for (StreamImpl* stream : streams_)
    if (stream->job_) return stream;
  return nullptr;
}

Status EngineImpl::EncodeTexts(std::span<const std::string> texts, float* rows,
                               std::vector<std::string>* truncated) {
  bool served = false;
  CLIPTAG_RETURN_IF_ERROR(
      text_cache_.Encode(*model_, texts, rows, truncated, kChunkMs, [&](size_t done) {
        ServeOneBatch();
        served = true;
        LogProgress(job_texts_done_ + done);
      }));
  job_texts_done_ += texts.size();
  // Ten thousand that are known take some time, too.
  if (!served && texts.size() >= kMany) ServeOneBatch();
  return {};
}

// In batches as small as a chunk of texts is short; the encoder's own are for frames in a hurry.
Status EngineImpl::EncodePictures(std::span<const FrameView> pictures, float* rows) {
  const double picture_ms = static_cast<double>(expected_latency_ns_) / 1e6 / max_batch_;
  const auto chunk = static_cast<size_t>(std::clamp<double>(kChunkMs / picture_ms, 1, max_batch_));
  const size_t dim = static_cast<size_t>(model_->config().embed_dim);
  for (size_t done = 0; done < pictures.size(); done += chunk) {
    const auto part = pictures.subspan(done, std::min(chunk, pictures.size() - done));
    CLIPTAG_RETURN_IF_ERROR(
        model_->image().Encode(part, model_->config().preprocess, rows + done * dim));
    ServeOneBatch();
  }
  return {};
}

void EngineImpl::LogProgress(size_t done) {
  constexpr auto kEvery = std::chrono::seconds(1);
  const Clock::time_point now = Clock::now();
  if (now - job_logged_ < kEvery) return;
  job_logged_ = now;
  Log(LogLevel::kInfo, "prompts: " + std::to_string(done) + " of " + std::to_string(job_texts_) +
                           " texts are encoded");
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

void EngineImpl::RunJob(StreamImpl* stream, PromptJob job) {
  auto encode = [this](std::span<const std::string> texts, float* rows,
                       std::vector<std::string>* truncated) {
    return EncodeTexts(texts, rows, truncated);
  };
  auto encode_pictures = [this](std::span<const FrameView> pictures, float* rows) {
    return EncodePictures(pictures, rows);
  };
  Status status;
  std::shared_ptr<LoadedBank> loaded;
  job_texts_ = CountTexts(job.spec);
  job_texts_done_ = 0;
  job_logged_ = Clock::now();
  auto bank =
      BuildPromptBank(std::move(job.spec), model_->config().embed_dim, encode, encode_pictures);
  if (bank.ok()) {
    auto result = LoadBank(bank.Take());
    if (result.ok())
      loaded = result.Take();
    else
      status = result.status();
  } else {
    status = bank.status();
  }
  {
    std::lock_guard lock(mutex_);
    if (loaded) stream->bank_ = loaded;
  }
  job.done(status, loaded ? loaded->bank : nullptr);
  {
    std::lock_guard lock(mutex_);
    stream->encoding_ = false;
  }
  idle_.notify_all();
}

}  // namespace cliptag
