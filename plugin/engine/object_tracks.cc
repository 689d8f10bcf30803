#include "plugin/engine/object_tracks.h"

#include <algorithm>
#include <iterator>

#include "plugin/engine/frame_parts.h"

namespace cliptag {
namespace {

constexpr double kSame = 0.5;              // overlap at which a nameless object is the same
constexpr double kUnmoved = 0.6;           // overlap at which an embedding stands
constexpr uint64_t kAged = 2'000'000'000;  // ns, of an embedding
constexpr uint64_t kGone = 5'000'000'000;  // ns without a sighting
constexpr size_t kMostTracks = 1024;       // a tracker that numbers anew with every frame

uint64_t Distance(uint64_t a, uint64_t b) { return a > b ? a - b : b - a; }

}  // namespace

std::map<int64_t, ObjectTracks::Track>::iterator ObjectTracks::Find(const ObjectRegion& object,
                                                                    Moment now) {
  if (object.id >= 0) return tracks_.find(object.id);
  auto best = tracks_.end();
  double most = kSame;
  for (auto it = tracks_.begin(); it != tracks_.end() && it->first < 0; ++it) {
    if (it->second.seen.time_ns == now.time_ns) continue;  // another object of this frame has it
    const double overlap = Overlap(it->second.seen_at, object.rect);
    if (overlap < most) continue;
    most = overlap;
    best = it;
  }
  return best;
}

std::vector<ObjectTracks::Sighting> ObjectTracks::See(std::span<const ObjectRegion> objects,
                                                      const Rect& area, Moment now, bool still) {
  std::vector<Sighting> sightings;
  for (const ObjectRegion& given : objects) {
    ObjectRegion object{Intersection(given.rect, area), given.id};
    if (object.rect.width == 0) continue;
    auto it = Find(object, now);
    if (it == tracks_.end()) {
      it = tracks_.emplace(object.id >= 0 ? object.id : next_nameless_--, Track{}).first;
      it->second.id = object.id;
    }
    Track& track = it->second;
    const bool stands = track.asked && Overlap(track.encoded_at, object.rect) >= kUnmoved &&
                        (still || Distance(now.time_ns, track.encoded_ns) <= kAged);
    if (!stands) {
      track.asked = true;
      track.encoded_at = object.rect;
      track.encoded_ns = now.time_ns;
    }
    track.seen_at = object.rect;
    track.seen = now;
    sightings.push_back({it->first, object, given.rect, !stands});
  }
  return sightings;
}

void ObjectTracks::Encoded(const Sighting& sighting, std::span<const float> embedding) {
  const auto it = tracks_.find(sighting.track);
  if (it == tracks_.end()) return;
  it->second.embedding.assign(embedding.begin(), embedding.end());
  if (embedding.empty()) it->second.asked = false;
}

const std::vector<float>* ObjectTracks::EmbeddingOf(const Sighting& sighting) const {
  const auto it = tracks_.find(sighting.track);
  return it == tracks_.end() || it->second.embedding.empty() ? nullptr : &it->second.embedding;
}

TagPolicy* ObjectTracks::PolicyOf(const Sighting& sighting) {
  const auto it = tracks_.find(sighting.track);
  return it == tracks_.end() ? nullptr : &it->second.policy;
}

void ObjectTracks::Forget(Moment now, std::vector<TagEvent>* events) {
  const auto end = [&](std::map<int64_t, Track>::iterator it) {
    std::vector<TagEvent> own;
    it->second.policy.Reset(it->second.seen, &own);
    for (TagEvent& event : own) {
      event.of_object = true;
      event.id = it->second.id;
      events->push_back(std::move(event));
    }
    return tracks_.erase(it);
  };
  for (auto it = tracks_.begin(); it != tracks_.end();)
    it = Distance(now.time_ns, it->second.seen.time_ns) > kGone ? end(it) : std::next(it);
  while (tracks_.size() > kMostTracks)
    end(std::min_element(tracks_.begin(), tracks_.end(), [](const auto& a, const auto& b) {
      return a.second.seen.time_ns < b.second.seen.time_ns;
    }));
}

void ObjectTracks::Reset() {
  tracks_.clear();
  next_nameless_ = -2;
}

}  // namespace cliptag
