// Embeddings of texts already encoded by this engine, so that changing one label among many encodes
// one label. Bounded: it forgets everything when full. One thread (the engine's worker).
#pragma once

#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace cliptag {

class TextCache {
 public:
  struct Entry {
    std::vector<float> row;  // unit length
    bool truncated = false;
  };

  const Entry* Find(const std::string& text) const {
    auto it = entries_.find(text);
    return it == entries_.end() ? nullptr : &it->second;
  }
  void Insert(const std::string& text, Entry entry) {
    if (entries_.size() >= kMaxEntries) entries_.clear();
    entries_.insert_or_assign(text, std::move(entry));
  }

 private:
  static constexpr size_t kMaxEntries = 32768;  // 64 MB at 512 dimensions
  std::unordered_map<std::string, Entry> entries_;
};

}  // namespace cliptag
