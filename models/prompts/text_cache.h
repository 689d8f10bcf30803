// Embeddings of texts that a model has encoded before: in memory, so that changing one label of
// many encodes one label, and on disk (TextStore), so that a restart encodes none.
//
// In memory it is bounded: it is cleared when full. One thread (the engine's worker).
#pragma once

#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "kernels/base/function_ref.h"
#include "models/clip_model.h"
#include "models/prompts/text_store.h"

namespace cliptag {

class TextCache {
 public:
  // `store` may be null: in memory alone.
  explicit TextCache(std::unique_ptr<TextStore> store) : store_(std::move(store)) {}
  // With the user's store for this model on its backend.
  explicit TextCache(ClipModel& model);

  // As ClipModel::EncodeTexts, but the model encodes only texts that are not known yet, in chunks
  // that take about `chunk_ms` (0: as large as is efficient). After each chunk `between` is called
  // with the number of texts done so far; its error ends the encoding.
  Status Encode(ClipModel& model, std::span<const std::string> texts, float* rows,
                std::vector<std::string>* truncated, double chunk_ms,
                FunctionRef<Status(size_t done)> between);

 private:
  const StoredText* Find(const std::string& text);
  void Remember(const std::string& text, StoredText stored);
  Status EncodeChunk(ClipModel& model, std::span<const std::string> texts,
                     std::span<const size_t> which, float* rows,
                     std::vector<std::string>* truncated);

  static constexpr size_t kMaxEntries = 32768;  // 64 MB at 512 dimensions
  std::unordered_map<std::string, StoredText> entries_;
  std::unique_ptr<TextStore> store_;
  size_t chunk_ = 16;  // texts that one chunk's time is estimated to suffice for
};

}  // namespace cliptag
