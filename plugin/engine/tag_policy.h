// From cosines to tags: scores that mean something, thresholds with hysteresis, edges.
//
// One TagPolicy per stream; used by one thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kernels/frame.h"
#include "models/prompts.h"

namespace cliptag {

enum class Scoring : uint8_t { kContrast, kSoftmax, kSigmoid, kCosine };

struct PolicyOptions {
  Scoring scoring = Scoring::kContrast;
  double temperature = 0;  // 0 = the model's logit scale; else cosines are divided by it
  double threshold = 0.5;
  double off_threshold = -1;  // -1 = 0.8 x threshold
  int top_k = 5;              // 0 = all
};

struct Tag {
  std::string label;
  double score = 0;   // 0..1, by the scoring asked for
  double cosine = 0;  // raw
  bool active = false;
  int part = 0;  // which of the parts of the frame that were looked at this is about
  // Of a tile or an object: where in the frame, in its pixels. Width 0: the frame as a whole.
  Rect region;
  bool of_object = false;
  int64_t id = -1;  // of the object's track
  Rect marked_at;   // the object as its detector gave it; the region is cut to the frame
};

struct TagEvent {
  std::string label;
  bool of_object = false;
  int64_t id = -1;  // of the object's track
  bool start = false;  // else end
  uint64_t pts_ns = 0;
  double score = 0;
  uint64_t duration_ns = 0;  // at the end: since the start
  double peak = 0;           // at the end: the largest score in between
};

// Scores of every tag from the cosines of one embedding with every row of the bank.
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
                          double logit_scale, double logit_bias, uint64_t pts_ns,
                          std::vector<TagEvent>* events);

  // Forgets everything; ends what is active at `pts_ns`.
  void Reset(uint64_t pts_ns, std::vector<TagEvent>* events);

 private:
  struct State {
    std::string label;
    bool active = false;
    uint64_t since_ns = 0;
    double peak = 0, last = 0;
  };
  void Adopt(const std::shared_ptr<const PromptBank>& bank, uint64_t pts_ns,
             std::vector<TagEvent>* events);
  static void End(const State& state, uint64_t pts_ns, std::vector<TagEvent>* events);

  std::shared_ptr<const PromptBank> bank_;
  std::vector<State> states_;  // one per tag of bank_
};

}  // namespace cliptag
