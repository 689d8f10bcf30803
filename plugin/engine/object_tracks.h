// What one stream knows of the objects in its frames: of each track the embedding, and the state of
// its tags. An object is encoded again only when its track is new, when it has moved or when its
// embedding has aged; in between its embedding is used again, with the prompts of that time.
//
// Used by one thread at a time.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "plugin/engine/engine.h"
#include "plugin/engine/tag_policy.h"

namespace cliptag {

class ObjectTracks {
 public:
  // An object of one frame. Valid until Forget() or Reset(), unless its track goes before that.
  struct Sighting {
    int64_t track = 0;    // the track's own number
    int64_t id = -1;      // the id that is reported
    Rect rect;            // cut to the frame
    ObjectRegion marked;  // as it was given
    bool encode = false;  // else the track's embedding is used again
  };

  // Finds the tracks of a frame's objects and begins those that are new. Objects outside of `area`
  // are left out. On a `still` picture no embedding ages. Which
  // is which, MatchRegions() decides.
  std::vector<Sighting> See(std::span<const ObjectRegion> objects, const Rect& area, Moment now,
                            bool still = false);

  // The embedding that See() asked for; empty if it could not be made: the next frame tries again.
  void Encoded(const Sighting& sighting, std::span<const float> embedding);

  // Null if the track has gone or has no embedding.
  const std::vector<float>* EmbeddingOf(const Sighting& sighting) const;
  TagPolicy* PolicyOf(const Sighting& sighting);

  // Drops the tracks that have not been seen for a while; their active tags end.
  void Forget(Moment now, std::vector<TagEvent>* events);
  void Reset();

  size_t size() const { return tracks_.size(); }

 private:
  struct Track {
    int64_t id = -1;    // the first that it was given, unless another track reports that id
    ObjectRegion last;  // where it was seen last, with the id that it had there
    Moment seen;
    Rect encoded_at;  // where the object was then
    uint64_t encoded_ns = 0;
    bool asked = false;  // an embedding is there or on its way
    std::vector<float> embedding;
    TagPolicy policy;
  };
  using Tracks = std::map<int64_t, Track>;

  Tracks::iterator Begin(const ObjectRegion& object);
  static void Move(const ObjectRegion& object, Track* track);

  Tracks tracks_;
  int64_t next_track_ = 0;
};

}  // namespace cliptag
