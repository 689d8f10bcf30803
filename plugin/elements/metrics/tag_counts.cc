#include "plugin/elements/metrics/tag_counts.h"

#include <algorithm>

namespace cliptag {
namespace {

// Within kLongest bytes, and not within a character.
std::string Cut(const std::string& label) {
  if (label.size() <= TagCounts::kLongest) return label;
  static constexpr char kMore[] = "…";
  size_t size = TagCounts::kLongest - (sizeof(kMore) - 1);
  while (size > 0 && (static_cast<unsigned char>(label[size]) & 0xc0) == 0x80) --size;
  return label.substr(0, size) + kMore;
}

}  // namespace

TagCount* TagCounts::Find(const std::string& label, bool active) {
  std::string name = Cut(label);
  const auto it = by_label_.find(name);
  if (it != by_label_.end()) return &it->second;
  size_t& count = active ? acted_ : listed_;
  if (count == kMost) return nullptr;
  ++count;
  TagCount& added = by_label_[name];
  added.label = std::move(name);
  return &added;
}

void TagCounts::Add(const InferenceResult& result) {
  const std::lock_guard lock(mutex_);
  for (auto& [name, count] : by_label_) {
    count.active = false;
    count.score = -1;
  }
  for (const TagEvent& event : result.events) {
    TagCount* const count = Find(event.label, true);
    if (count != nullptr) ++(event.start ? count->starts : count->ends);
  }
  for (const Tag& tag : result.tags) {
    TagCount* const count = Find(tag.label, tag.active);
    if (count == nullptr) continue;
    count->active = count->active || tag.active;
    count->score = std::max<double>(count->score, tag.score);
  }
}

void TagCounts::EndOf(const std::string& label) {
  const std::lock_guard lock(mutex_);
  TagCount* const count = Find(label, true);
  if (count != nullptr) ++count->ends;
}

void TagCounts::NoneActive() {
  const std::lock_guard lock(mutex_);
  for (auto& [name, count] : by_label_) count.active = false;
}

void TagCounts::Forget() {
  const std::lock_guard lock(mutex_);
  std::erase_if(by_label_, [](const auto& entry) { return !entry.second.active; });
  listed_ = 0;
  acted_ = by_label_.size();
}

std::vector<TagCount> TagCounts::All() const {
  const std::lock_guard lock(mutex_);
  std::vector<TagCount> all;
  all.reserve(by_label_.size());
  for (const auto& [name, count] : by_label_) all.push_back(count);
  return all;
}

}  // namespace cliptag
