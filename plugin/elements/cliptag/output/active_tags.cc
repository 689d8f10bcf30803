#include "plugin/elements/cliptag/output/active_tags.h"

#include <algorithm>
#include <utility>

namespace cliptag {

void ActiveTags::Follow(const InferenceResult& result) {
  for (const TagEvent& event : result.events) {
    const Key key{event.label, event.of_object, event.track};
    if (event.start) {
      tags_[key] = {event.at.time_ns, event.peak, event.score, event.id, result.at};
    } else {
      tags_.erase(key);
    }
  }
  for (const Tag& tag : result.tags) {
    const auto it = tags_.find({tag.label, tag.of_object, tag.track});
    if (it == tags_.end()) continue;
    it->second.last = tag.score;
    it->second.seen = result.at;
    it->second.peak = std::max(it->second.peak, tag.score);
  }
}

std::vector<TagEvent> ActiveTags::End() {
  std::vector<TagEvent> events;
  for (const auto& [key, tag] : std::exchange(tags_, {})) {
    events.push_back({.label = key.label,
                      .of_object = key.of_object,
                      .id = tag.id,
                      .track = key.track,
                      .start = false,
                      .at = tag.seen,
                      .score = tag.last,
                      .duration_ns = tag.seen.time_ns - std::min(tag.since_ns, tag.seen.time_ns),
                      .peak = tag.peak});
  }
  return events;
}

}  // namespace cliptag
