// What the worker does with a batch: frames to embeddings, embeddings to tags, answers.
#include <algorithm>
#include <cmath>
#include <utility>

#include "kernels/base/caught.h"
#include "kernels/base/log.h"
#include "plugin/engine/engine_impl.h"
#include "plugin/engine/frame_parts.h"
#include "plugin/engine/last_inference.h"

namespace cliptag {
namespace {

constexpr int kGreySide = 32;

void Fail(PendingRequest& pending, const Status& status) noexcept {
  if (!pending.status.ok()) return;
  pending.status = Catching([&] { return status; });  // a copy may find no memory
}

}  // namespace

bool EngineImpl::Batch::HasRoom() noexcept {
  if (items.size() < items.capacity()) return true;
  return Catching([&] {
           items.reserve(2 * items.size());
           return Status();
         })
      .ok();
}

void EngineImpl::PlanOrFail(StreamImpl* stream, PendingRequest* pending) noexcept {
  Status status = Catching([&] {
    Plan(stream, pending);
    return Status();
  });
  if (status.ok()) return;
  pending->pictures.clear();
  pending->objects.clear();
  pending->first_object = 0;
  pending->stands = false;
  pending->status = std::move(status);
}

void EngineImpl::Plan(StreamImpl* stream, PendingRequest* pending) {
  const InferenceRequest& request = pending->request;
  pending->bank = stream->bank_;
  pending->policy = stream->policy_options_;
  const Rect area = AreaOf(request.frame);
  pending->stands = request.still && stream->last_inference_.StandsFor(request);
  if (request.regions != Regions::kObjects && !pending->stands) {
    if (request.tiles)
      pending->pictures = std::move(pending->tiles);
    else
      pending->pictures.push_back({});
    stream->last_inference_.Begin(request);
  }
  pending->first_object = pending->pictures.size();
  if (request.regions != Regions::kFrame) {
    pending->objects = stream->tracks_.See(request.objects, area, request.at, request.still);
    for (const ObjectTracks::Sighting& sighting : pending->objects)
      if (sighting.encode)
        pending->pictures.push_back(SquareAround(sighting.rect, area, request.frame.pixel));
  }
  pending->embeddings.resize(pending->pictures.size() * model_->config().embed_dim);
}

Status EngineImpl::Preprocess(std::span<const FrameView> frames, Fit fit) {
  PreprocessSpec spec = model_->config().preprocess;
  spec.fit = fit;
  return Catching([&] { return model_->image().Preprocess(frames, spec); });
}

Status EngineImpl::Prepare(const Batch& batch) {
  if (batch.pictures.empty()) return {};
  frames_.clear();
  for (const size_t i : batch.pictures) {
    const BatchItem& item = batch.items[i];
    frames_.push_back(item.pending->request.frame);
    if (const Rect& part = item.pending->pictures[item.picture]; part.width > 0)
      frames_.back().crop = part;
  }
  const Fit fit = batch.items[batch.pictures.front()].pending->request.fit;
  Status status = Preprocess(frames_, fit);
  if (status.ok() || frames_.size() == 1) return status;
  // One frame that cannot be read must not fail the others: each is tried alone, and a grey picture
  // takes the place of those that fail.
  for (size_t i = 0; i < frames_.size(); ++i) {
    const Status own = Preprocess(std::span(frames_).subspan(i, 1), fit);
    if (own.ok()) continue;
    PendingRequest& pending = *batch.items[batch.pictures[i]].pending;
    Fail(pending, own);
    frames_[i] = RgbView(grey_.data(), kGreySide * 3, kGreySide, kGreySide, RgbOrder::kRgb);
  }
  return Preprocess(frames_, fit);
}

Status EngineImpl::Score(const Batch& batch, const Matrix& embeddings) {
  const int n = static_cast<int>(batch.pictures.size());
  const auto pending_of = [&](int i) { return batch.items[batch.pictures[i]].pending.get(); };
  CLIPTAG_RETURN_IF_ERROR(backend_->CopyToHost(embeddings.Rows(0, n), host_embeddings_.data()));
  for (int first = 0; first < n;) {
    // Neighbours with the same bank share one product; an error fails only them.
    int end = first + 1;
    while (end < n && pending_of(end)->bank == pending_of(first)->bank) ++end;
    const Status status = Catching([&] { return ScoreNeighbours(batch, embeddings, first, end); });
    for (int i = first; i < end && !status.ok(); ++i) Fail(*pending_of(i), status);
    first = end;
  }
  return {};
}

Status EngineImpl::ScoreNeighbours(const Batch& batch, const Matrix& embeddings, int first,
                                   int end) {
  const int64_t dim = model_->config().embed_dim;
  const LoadedBank* bank = batch.items[batch.pictures[first]].pending->bank.get();
  const int64_t rows = bank ? bank->bank->row_count() : 0;
  if (bank) {
    const Matrix bank_rows{bank->rows->data(), DType::kF32, rows, dim, dim};
    const Matrix cosines{bank->cosines->data(), DType::kF32, end - first, rows, rows};
    CLIPTAG_RETURN_IF_ERROR(
        backend_->Similarity(embeddings.Rows(first, end - first), bank_rows, cosines));
    host_cosines_.resize((end - first) * rows);
    CLIPTAG_RETURN_IF_ERROR(backend_->CopyToHost(cosines, host_cosines_.data()));
  }
  for (int i = first; i < end; ++i)
    Keep(batch.items[batch.pictures[i]], host_embeddings_.data() + i * dim,
         bank ? host_cosines_.data() + (i - first) * rows : nullptr);
  return {};
}

void EngineImpl::Keep(const BatchItem& item, const float* embedding, const float* cosines) {
  const ModelConfig& config = model_->config();
  PendingRequest& pending = *item.pending;
  const bool finite = std::all_of(embedding, embedding + config.embed_dim,
                                  [](float x) { return std::isfinite(x); });
  if (!finite && pending.status.ok()) {
    pending.status =
        Internal("The model " + config.name + " gave an embedding that holds NaN or infinity.");
  }
  std::copy_n(embedding, config.embed_dim,
              pending.embeddings.begin() + item.picture * config.embed_dim);
  if (!cosines) return;
  const size_t rows = pending.bank->bank->row_count();
  pending.cosines.resize(pending.pictures.size() * rows);
  std::copy_n(cosines, rows, pending.cosines.begin() + item.picture * rows);
}

void EngineImpl::KeepInference(StreamImpl* stream, PendingRequest* pending) {
  const size_t parts = pending->first_object;
  if (parts == 0) return;
  const auto first = [&](auto& values, size_t n) {
    return std::vector(values.begin(), values.begin() + n);
  };
  std::shared_ptr<const PromptBank> bank;
  std::vector<float> cosines;
  if (pending->bank) {
    bank = pending->bank->bank;
    cosines = first(pending->cosines, parts * bank->row_count());
  }
  stream->last_inference_.Keep(first(pending->pictures, parts),
                               first(pending->embeddings, parts * model_->config().embed_dim),
                               std::move(bank), std::move(cosines));
}

void EngineImpl::TagFrame(StreamImpl* stream, PendingRequest* pending, InferenceResult* result) {
  if (pending->first_object == 0 && !pending->stands) return;
  const ModelConfig& config = model_->config();
  const std::shared_ptr<const PromptBank>& bank = pending->bank->bank;
  result->tags =
      stream->policy_.Update(bank, stream->last_inference_.CosinesWith(bank), pending->policy,
                             config.logit_scale, config.logit_bias, result->at, &result->events);
  for (Tag& tag : result->tags) tag.region = stream->last_inference_.pictures()[tag.part];
}

void EngineImpl::TagObjects(StreamImpl* stream, PendingRequest* pending, InferenceResult* result) {
  const ModelConfig& config = model_->config();
  const std::shared_ptr<const PromptBank>& bank = pending->bank->bank;
  std::vector<TagEvent> events;
  for (const ObjectTracks::Sighting& sighting : pending->objects) {
    const std::vector<float>* embedding = stream->tracks_.EmbeddingOf(sighting);
    TagPolicy* policy = stream->tracks_.PolicyOf(sighting);
    if (!embedding || !policy) continue;
    events.clear();
    for (Tag& tag : policy->Update(bank, CosinesOf(*bank, *embedding), pending->policy,
                                   config.logit_scale, config.logit_bias, result->at, &events)) {
      tag.region = sighting.rect;
      tag.of_object = true;
      tag.marked = sighting.marked;
      tag.id = sighting.id;
      tag.track = sighting.track;
      result->tags.push_back(std::move(tag));
    }
    for (TagEvent& event : events) {
      event.of_object = true;
      event.id = sighting.id;
      event.track = sighting.track;
      result->events.push_back(std::move(event));
    }
  }
  stream->tracks_.Forget(result->at, &result->events);
}

InferenceResult EngineImpl::ResultOf(StreamImpl* stream, PendingRequest* pending) {
  InferenceResult result;
  result.at = pending->request.at;
  result.frame_number = pending->request.frame_number;
  result.status = pending->status;
  const size_t dim = model_->config().embed_dim;
  const bool good = result.status.ok();
  // Tracks learn of failures, too.
  size_t picture = pending->first_object;
  for (const ObjectTracks::Sighting& sighting : pending->objects) {
    if (!sighting.encode) continue;
    stream->tracks_.Encoded(
        sighting, good ? std::span<const float>(pending->embeddings).subspan(picture * dim, dim)
                       : std::span<const float>());
    ++picture;
  }
  if (!good) {
    stream->last_inference_.Reset();
    return result;
  }
  KeepInference(stream, pending);
  if (pending->stands && stream->last_inference_.pictures().empty()) {
    result.status = Cancelled("the frame that this one is like could not be encoded");
    return result;
  }
  std::vector<int64_t> tracks;
  for (const ObjectTracks::Sighting& sighting : pending->objects) tracks.push_back(sighting.track);
  std::sort(tracks.begin(), tracks.end());
  const bool same = tracks == stream->last_tracks_;
  stream->last_tracks_ = std::move(tracks);
  result.still = pending->still = pending->request.still && pending->pictures.empty() && same;
  // Of tiles there is no one embedding.
  if ((pending->first_object > 0 || pending->stands) &&
      stream->last_inference_.pictures().size() == 1) {
    result.embedding = stream->last_inference_.embeddings();
  }
  if (!pending->bank) return result;
  TagFrame(stream, pending, &result);
  if (!pending->objects.empty() || stream->tracks_.size() > 0) TagObjects(stream, pending, &result);
  return result;
}

void EngineImpl::Answer(const Batch& batch, const Status& status) noexcept {
  for (const BatchItem& item : batch.items) {
    PendingRequest& pending = *item.pending;
    if (item.picture != kNone) {
      if (!status.ok()) Fail(pending, status);
      if (++pending.done < pending.pictures.size()) continue;
    }
    InferenceResult result;
    try {
      result = ResultOf(item.stream, &pending);
    } catch (...) {
      if (pending.status.ok()) pending.status = CaughtException();
      result = {};
      result.status = CaughtException();
      result.at = pending.request.at;
      result.frame_number = pending.request.frame_number;
    }
    // The callback, and what it holds, is destroyed here: never under the lock.
    const auto done = std::exchange(pending.request.done, nullptr);
    try {
      done(std::move(result));
    } catch (...) {
      LogCaughtException("A callback of the engine threw");
    }
  }
}

void EngineImpl::FinishBatch(Batch* batch) {
  const Clock::time_point now = Clock::now();
  std::vector<BatchItem>& items = batch->items;
  for (size_t i = 0; i < items.size(); ++i) {
    StreamImpl* stream = items[i].stream;
    const PendingRequest& pending = *items[i].pending;
    const bool has_picture = items[i].picture != kNone;
    --stream->running_;
    if (!has_picture || items[i].picture + 1 == pending.pictures.size())
      stream->Record(pending, now);
    if (!has_picture) continue;
    ++stream->stats_.pictures;
    const bool first_of_stream = std::none_of(
        items.begin(), items.begin() + i,
        [&](const BatchItem& other) { return other.stream == stream && other.picture != kNone; });
    if (!first_of_stream) continue;
    ++stream->stats_.batches;
    stream->batched_frames_ += batch->pictures.size();
  }
  batch->Clear();
  idle_.notify_all();
}

}  // namespace cliptag
