// What the metrics tell of each tag: whether it is active, its score, how often it began and ended.
//
// Every label is a time series for whoever reads them, so that their number stays small whatever
// the prompts are: the first kMost that are listed, and the first kMost that become active. Long
// labels are cut, and those that are the same then count as one.
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
  double score = -1;  // of the last look, the best of its places; below zero: not listed there
  uint64_t starts = 0, ends = 0;
};

class TagCounts {
 public:
  static constexpr size_t kMost = 100;
  static constexpr size_t kLongest = 120;  // bytes of a label

  void Look(const InferenceResult& result);
  // Of a tag that was active when the stream ended; after the last one nothing is active.
  void EndOf(const std::string& label);
  void NoneActive();
  // New prompts: what is not active is no longer told.
  void Forget();
  std::vector<TagCount> All() const;

 private:
  TagCount* Find(const std::string& label, bool active);

  mutable std::mutex mutex_;
  std::map<std::string, TagCount> by_label_;  // guarded by mutex_, as are the next
  size_t listed_ = 0, acted_ = 0;             // how they came in
};

}  // namespace cliptag
