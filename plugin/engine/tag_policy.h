// From cosines to tags: scores that mean something, smoothing, thresholds with hysteresis, edges.
//
// Durations are counted in the time at which the frames are shown, at whatever distance they come;
// their pts, which may start again while that time goes on, are only reported. A score is smoothed
// by an exponential mean, s += (x - s) (1 - exp(-dt / smoothing)); the first score after a reset
// starts it, and so does one whose time lies before the last one's. A tag becomes active once its
// smoothed score has reached the threshold and has not fallen below the off-threshold for
// min-duration since; the edge that is then reported lies where the threshold was reached, so that
// no reported span is shorter than min-duration.
//
// One TagPolicy per stream; used by one thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kernels/frame.h"
#include "models/prompts/prompts.h"
#include "plugin/engine/object_region.h"

namespace cliptag {

struct PolicyOptions {
  Scoring scoring = Scoring::kContrast;
  double temperature = 0;  // 0 = the model's logit scale; else cosines are divided by it
  double threshold = 0.5;
  double off_threshold = -1;     // -1 = 0.8 x threshold
  uint64_t smoothing_ns = 0;     // time constant of the mean of scores; 0 = none
  uint64_t min_duration_ns = 0;  // shortest active span; a tag's own min_duration_s wins
  int top_k = 5;                 // 0 = all
};

struct Tag {
  std::string label;
  double score = 0;   // 0..1, by the scoring asked for, smoothed: what is held to the thresholds
  double cosine = 0;  // raw
  bool active = false;
  int part = 0;  // index of the part of the frame that has this score
  // Of a tile or an object: where in the frame, in its pixels. Width 0: the frame as a whole.
  Rect region;
  bool of_object = false;
  int64_t id = -1;      // reported of the object, -1 = no id
  ObjectRegion marked;  // as its detector gave it; the region is cut to the frame
  int64_t track = -1;   // the object's own number in the stream
};

// When a frame is shown.
struct Moment {
  Moment() = default;
  // For callers whose running time equals pts; not explicit on purpose.
  Moment(uint64_t ns) : time_ns(ns), pts_ns(ns) {}
  Moment(uint64_t time_ns, uint64_t pts_ns) : time_ns(time_ns), pts_ns(pts_ns) {}

  uint64_t time_ns = 0;  // what durations are counted in; does not go back within a stream
  uint64_t pts_ns = 0;   // what is reported
};

struct TagEvent {
  std::string label;
  bool of_object = false;
  int64_t id = -1;           // reported of the object, -1 = no id
  int64_t track = -1;        // the object's own number in the stream
  bool start = false;        // else end
  Moment at;                 // the edge: a start is reported min-duration after it
  double score = 0;          // at the edge
  uint64_t duration_ns = 0;  // at the end: since the start
  double peak = 0;           // the largest score from the start's edge until this was reported
};

// Scores of every tag from the cosines of one embedding with every row of the bank.
//
// A tag has a logit t of its texts, a logit z of its exemplar pictures
// (models/prompts/exemplars.h), or both. t is scale x cosine less ln of the sum of exp(scale x
// cosine) over what the tag is compared with. In kContrast t is compared with background and own
// negatives, in kSoftmax with the background (which changes nothing among texts), in kSigmoid it is
// scale x cosine + bias. Its score is sigmoid(x), or in kSoftmax exp(x) over the sum of all tags',
// with x = z where the tag has pictures alone, and the mean of t and z, each held within -6..6,
// where it has both. kCosine takes the cosine with its prototype, or the mean of both cosines.
void ScoreTags(const PromptBank& bank, std::span<const float> cosines, Scoring scoring,
               double logit_scale, double logit_bias, std::span<double> scores);

// The same for several embeddings in turn, (parts, rows): of each tag the best score, and the part
// that has it.
void ScoreParts(const PromptBank& bank, std::span<const float> cosines, Scoring scoring,
                double logit_scale, double logit_bias, std::span<double> scores,
                std::span<int> parts);

class TagPolicy {
 public:
  // The tags of one inference, best first: the top_k, and every active one beside them. `cosines`
  // are those of one embedding, or of several parts of the frame in turn: a tag then has the score
  // of its best part. Appends the edges to `events` (when not null). A bank other than the last
  // one's keeps the state of labels that are in both and ends the others.
  std::vector<Tag> Update(const std::shared_ptr<const PromptBank>& bank,
                          std::span<const float> cosines, const PolicyOptions& options,
                          double logit_scale, double logit_bias, Moment now,
                          std::vector<TagEvent>* events);

  // Forgets everything; ends what is active.
  void Reset(Moment now, std::vector<TagEvent>* events);

 private:
  // kRisen: the threshold was reached, but not yet for long enough.
  enum class Phase : uint8_t { kInactive, kRisen, kActive };
  struct State {
    std::string label;
    bool smoothed = false;  // `last` is the mean so far
    double last = 0;
    // From kRisen on: since when, with which score, and the largest since.
    Phase phase = Phase::kInactive;
    Moment since;
    double first = 0, peak = 0;

    bool active() const { return phase == Phase::kActive; }
  };
  void Adopt(const std::shared_ptr<const PromptBank>& bank, Moment now,
             std::vector<TagEvent>* events);
  static void Smooth(double score, double weight, State* state);
  static void Decide(const TagSpec& tag, const PolicyOptions& options, Moment now, State* state,
                     std::vector<TagEvent>* events);
  static void End(const State& state, Moment now, std::vector<TagEvent>* events);

  std::shared_ptr<const PromptBank> bank_;
  uint64_t last_time_ns_ = 0;  // of the last Update, when there are states
  std::vector<State> states_;  // one per tag of bank_
};

}  // namespace cliptag
