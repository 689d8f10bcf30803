// Embeddings of texts that this model has encoded before: in memory, so that changing one label
// among many encodes one label, and on disk (TextStore), so that a restart encodes none.
//
// Bounded: it forgets everything in memory when full; the disk is a TextStore's business. One
// thread (the engine's worker).
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
  // With the store on disk that goes with the model on its backend.
  explicit TextCache(ClipModel& model);

  // As ClipModel::EncodeTexts, but the model encodes only what is not known yet: in chunks that
  // take about `chunk_ms` (0: as large as is efficient), after each of which `between` gets the
  // number of these texts that are done, and ends it where it returns an error.
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
  size_t chunk_ = 16;  // texts that fit into a chunk's time, as far as is known
};

}  // namespace cliptag
