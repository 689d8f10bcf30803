#include "models/prompts/text_cache.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <utility>

#include "models/finite.h"
#include "models/io/content_hash.h"

namespace cliptag {
namespace {

constexpr size_t kLeastChunk = 4, kLargestChunk = 256;

// Incremented when embeddings change for a reason other than the model's files and the program's
// version, which are part of the identity as well.
constexpr int kRevision = 1;

std::string StoreIdentity(ClipModel& model) {
  ContentHash hash;
  hash.AddText(model.text_identity());
  hash.AddText(ToString(model.backend().info().kind));
  hash.AddText(ToString(model.backend().info().precision));
  hash.AddText(CLIPTAG_VERSION);
  hash.AddNumber(kRevision);
  return hash.Hex();
}

}  // namespace

TextCache::TextCache(ClipModel& model)
    : store_(
          OpenUserTextStore(model.config().name, StoreIdentity(model), model.config().embed_dim)) {}

const StoredText* TextCache::Find(const std::string& text) {
  const auto it = entries_.find(text);
  if (it != entries_.end()) return &it->second;
  StoredText stored;
  if (store_ == nullptr || !store_->Find(text, &stored)) return nullptr;
  if (!AreFinite(stored.row)) return nullptr;  // of a version that did not check
  Remember(text, std::move(stored));
  return &entries_.at(text);
}

void TextCache::Remember(const std::string& text, StoredText stored) {
  if (entries_.size() >= kMaxEntries) entries_.clear();
  entries_.insert_or_assign(text, std::move(stored));
}

Status TextCache::EncodeChunk(ClipModel& model, std::span<const std::string> texts,
                              std::span<const size_t> which, float* rows,
                              std::vector<std::string>* truncated) {
  const size_t dim = static_cast<size_t>(model.config().embed_dim);
  std::vector<std::string> chunk, cut;
  for (const size_t i : which) chunk.push_back(texts[i]);
  std::vector<float> encoded(chunk.size() * dim);
  CLIPTAG_RETURN_IF_ERROR(model.EncodeTexts(chunk, encoded.data(), &cut));
  for (size_t i = 0; i < chunk.size(); ++i) {
    const std::span<const float> row(encoded.data() + i * dim, dim);
    std::copy(row.begin(), row.end(), rows + which[i] * dim);
    const bool was_cut = std::find(cut.begin(), cut.end(), chunk[i]) != cut.end();
    if (was_cut && truncated != nullptr) truncated->push_back(chunk[i]);
    if (store_ != nullptr) store_->Add(chunk[i], row, was_cut);
    Remember(chunk[i], {std::vector<float>(row.begin(), row.end()), was_cut});
  }
  return {};
}

Status TextCache::Encode(ClipModel& model, std::span<const std::string> texts, float* rows,
                         std::vector<std::string>* truncated, double chunk_ms,
                         FunctionRef<Status(size_t done)> between) {
  using Clock = std::chrono::steady_clock;
  const size_t dim = static_cast<size_t>(model.config().embed_dim);
  std::vector<size_t> missing;
  for (size_t i = 0; i < texts.size(); ++i) {
    const StoredText* hit = Find(texts[i]);
    if (hit == nullptr) {
      missing.push_back(i);
      continue;
    }
    std::memcpy(rows + i * dim, hit->row.data(), dim * sizeof(float));
    if (hit->truncated && truncated != nullptr) truncated->push_back(texts[i]);
  }
  // A batch is as long as its longest text.
  std::stable_sort(missing.begin(), missing.end(),
                   [&](size_t a, size_t b) { return texts[a].size() < texts[b].size(); });
  Status status;
  for (size_t first = 0; first < missing.size() && status.ok();) {
    const size_t wanted = chunk_ms > 0 ? chunk_ : kLargestChunk;
    const size_t n = std::min(wanted, missing.size() - first);
    const auto begin = Clock::now();
    status = EncodeChunk(model, texts, std::span(missing).subspan(first, n), rows, truncated);
    const double ms = std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
    if (chunk_ms > 0 && ms > chunk_ms) chunk_ = std::max(n / 2, kLeastChunk);
    if (chunk_ms > 0 && ms < chunk_ms / 2 && n == chunk_) {
      chunk_ = std::min(2 * chunk_, kLargestChunk);
    }
    first += n;
    if (status.ok()) status = between(texts.size() - missing.size() + first);
  }
  if (store_ != nullptr) store_->Save();
  return status;
}

}  // namespace cliptag
