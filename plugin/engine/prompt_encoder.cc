// Prompts to banks, on the engine's worker: in chunks, with batches of frames served in between.
#include <algorithm>
#include <cstring>
#include <utility>

#include "plugin/engine/engine_impl.h"

namespace cliptag {
namespace {

constexpr size_t kChunk = 16;  // texts encoded between two looks at the frames that wait

}  // namespace

StreamImpl* EngineImpl::NextJobStream() {
  for (StreamImpl* stream : streams_)
    if (stream->job_) return stream;
  return nullptr;
}

Status EngineImpl::EncodeTexts(std::span<const std::string> texts, float* rows,
                               std::vector<std::string>* truncated) {
  const size_t dim = model_->config().embed_dim;
  std::vector<size_t> missing;
  for (size_t i = 0; i < texts.size(); ++i) {
    const TextCache::Entry* hit = text_cache_.Find(texts[i]);
    if (!hit) {
      missing.push_back(i);
      continue;
    }
    std::memcpy(rows + i * dim, hit->row.data(), dim * sizeof(float));
    if (hit->truncated && truncated) truncated->push_back(texts[i]);
  }
  std::vector<std::string> chunk;
  std::vector<float> encoded;
  for (size_t first = 0; first < missing.size(); first += kChunk) {
    const size_t n = std::min(kChunk, missing.size() - first);
    chunk.clear();
    for (size_t i = 0; i < n; ++i) chunk.push_back(texts[missing[first + i]]);
    encoded.resize(n * dim);
    std::vector<std::string> cut;
    CLIPTAG_RETURN_IF_ERROR(model_->EncodeTexts(chunk, encoded.data(), &cut));
    for (size_t i = 0; i < n; ++i) {
      const float* row = encoded.data() + i * dim;
      std::memcpy(rows + missing[first + i] * dim, row, dim * sizeof(float));
      const bool was_cut = std::find(cut.begin(), cut.end(), chunk[i]) != cut.end();
      if (was_cut && truncated) truncated->push_back(chunk[i]);
      text_cache_.Insert(chunk[i], {std::vector<float>(row, row + dim), was_cut});
    }
    ServeOneBatch();
  }
  return {};
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
  Status status;
  std::shared_ptr<LoadedBank> loaded;
  auto bank = BuildPromptBank(std::move(job.spec), model_->config().embed_dim, encode);
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
