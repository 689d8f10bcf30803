#include "plugin/engine/object_tracks.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "plugin/engine/frame_parts.h"

namespace cliptag {
namespace {

constexpr double kUnmoved = 0.6;           // overlap from which on an embedding is used again
constexpr uint64_t kAged = 2'000'000'000;  // ns, of an embedding
constexpr uint64_t kGone = 5'000'000'000;  // ns without a sighting
constexpr size_t kMostTracks = 1024;       // for a tracker that gives new numbers in every frame

uint64_t Distance(uint64_t a, uint64_t b) { return a > b ? a - b : b - a; }

}  // namespace

ObjectTracks::Tracks::iterator ObjectTracks::Begin(const ObjectRegion& object) {
  Track track;
  const bool known = std::any_of(tracks_.begin(), tracks_.end(),
                                 [&](const auto& other) { return other.second.id == object.id; });
  if (!known) track.id = object.id;
  track.last = object;
  return tracks_.emplace(next_track_++, std::move(track)).first;
}

void ObjectTracks::Move(const ObjectRegion& object, Track* track) {
  track->last.rect = object.rect;
  // A frame in which the tracker has not found it takes nothing of what is known.
  if (object.id < 0 || (track->last.tracked && !object.tracked)) return;
  track->last.persists = track->last.id == object.id && track->last.tracked == object.tracked;
  track->last.id = object.id;
  track->last.tracked = object.tracked;
}

std::vector<ObjectTracks::Sighting> ObjectTracks::See(std::span<const ObjectRegion> objects,
                                                      const Rect& area, Moment now, bool still) {
  std::vector<ObjectRegion> inside, before;
  std::vector<Sighting> sightings;
  for (const ObjectRegion& given : objects) {
    const Rect rect = Intersection(given.rect, area);
    if (rect.width == 0) continue;
    inside.push_back({rect, given.id, given.tracked});
    sightings.push_back({.rect = rect, .marked = given});
  }
  std::vector<Tracks::iterator> tracks;
  for (auto it = tracks_.begin(); it != tracks_.end(); ++it) {
    before.push_back(it->second.last);
    tracks.push_back(it);
  }
  const std::vector<int> matches = MatchRegions(inside, before);
  for (size_t i = 0; i < inside.size(); ++i) {
    const bool known = matches[i] >= 0;
    const auto it = known ? tracks[matches[i]] : Begin(inside[i]);
    Track& track = it->second;
    const bool stands = track.asked && Overlap(track.encoded_at, inside[i].rect) >= kUnmoved &&
                        (still || Distance(now.time_ns, track.encoded_ns) <= kAged);
    if (!stands) {
      track.asked = true;
      track.encoded_at = inside[i].rect;
      track.encoded_ns = now.time_ns;
    }
    if (known) Move(inside[i], &track);
    track.seen = now;
    sightings[i].track = it->first;
    sightings[i].id = track.id;
    sightings[i].marked.persists = track.last.persists;
    sightings[i].encode = !stands;
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
  const auto end = [&](Tracks::iterator it) {
    std::vector<TagEvent> own;
    it->second.policy.Reset(it->second.seen, &own);
    for (TagEvent& event : own) {
      event.of_object = true;
      event.id = it->second.id;
      event.track = it->first;
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

void ObjectTracks::Reset() { tracks_.clear(); }

}  // namespace cliptag
