// What the metrics say about each tag: whether it is active, its score, how often it started and
// ended.
//
// Every label is a time series in Prometheus, so their number is bounded: the first kMost that are
// listed, and the first kMost that become active. Long labels are cut, and those that are then
// equal count as one.
//
// Thread safety: any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "plugin/engine/engine.h"

namespace cliptag {

struct TagCount {
  std::string label;
  bool active = false;
  double score = -1;  // in the last inference, the best of its regions; below zero: not listed
  uint64_t starts = 0, ends = 0;
};

class TagCounts {
 public:
  static constexpr size_t kMost = 100;
  static constexpr size_t kLongest = 120;  // bytes of a label

  void Add(const InferenceResult& result);
  // Of a tag that was active when the stream ended; after the last one nothing is active.
  void EndOf(const std::string& label);
  void NoneActive();
  // New prompts: tags that are not active go.
  void Forget();
  std::vector<TagCount> All() const;

 private:
  TagCount* Find(const std::string& label, bool active);

  mutable std::mutex mutex_;
  std::map<std::string, TagCount> by_label_;  // guarded by mutex_, as are the next
  size_t listed_ = 0, acted_ = 0;             // how many were added as listed, as active
};

}  // namespace cliptag
