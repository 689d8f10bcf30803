#include "plugin/engine/tag_policy.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace cliptag {
namespace {

double Sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }

double LogSumExp(double a, double b) {
  const double most = std::max(a, b);
  if (!std::isfinite(most)) return most;
  return most + std::log1p(std::exp(std::min(a, b) - most));
}

// ln of the sum of exp(scale x cosine) over some rows.
double LevelOf(std::span<const float> cosines, int first, int count, double scale) {
  double level = -std::numeric_limits<double>::infinity();
  for (int i = first; i < first + count; ++i) level = LogSumExp(level, scale * cosines[i]);
  return level;
}

// Scores of the tags of one bank. See tag_policy.h for what is computed.
class Scorer {
 public:
  Scorer(const PromptBank& bank, std::span<const float> cosines, double scale)
      : bank_(bank), cosines_(cosines), scale_(scale) {}

  double Contrast(int tag) const {
    const PromptBank::Exemplar* exemplar = ExemplarOf(tag);
    if (!exemplar) return TextContrast(tag);
    const double seen = Seen(*exemplar);
    if (exemplar->alone) return Sigmoid(seen);
    const PromptBank::Range negatives = bank_.negatives[tag];
    const double rivals =
        LogSumExp(Background(), LevelOf(cosines_, negatives.first, negatives.count, scale_));
    return Sigmoid(Together(scale_ * cosines_[tag] - rivals, seen));
  }

  // Over all tags. A constant in all logits changes nothing, so those of texts may be taken
  // relative to the background, where a picture's have the same zero.
  void Softmax(std::span<double> scores) const {
    const double zero = bank_.exemplars.empty() ? 0.0 : Background();
    for (int i = 0; i < bank_.tags; ++i) {
      const PromptBank::Exemplar* exemplar = ExemplarOf(i);
      const double said = scale_ * cosines_[i] - zero;
      scores[i] = !exemplar         ? said
                  : exemplar->alone ? Seen(*exemplar)
                                    : Together(said, Seen(*exemplar));
    }
    const double best = *std::max_element(scores.begin(), scores.end());
    double sum = 0.0;
    for (double& score : scores) sum += score = std::exp(score - best);
    for (double& score : scores) score /= sum;
  }

  double SigmoidOf(int tag, double bias) const {
    const PromptBank::Exemplar* exemplar = ExemplarOf(tag);
    const double said = scale_ * cosines_[tag] + bias;
    if (!exemplar) return Sigmoid(said);
    return Sigmoid(exemplar->alone ? Seen(*exemplar) : Together(said, Seen(*exemplar)));
  }

  double Cosine(int tag) const {
    const PromptBank::Exemplar* exemplar = ExemplarOf(tag);
    double cosine = cosines_[tag];
    if (exemplar) cosine = (cosine + cosines_[exemplar->row]) / 2;
    return std::clamp((cosine + 1.0) / 2.0, 0.0, 1.0);
  }

 private:
  const PromptBank::Exemplar* ExemplarOf(int tag) const {
    if (bank_.exemplars.empty() || bank_.exemplars[tag].row < 0) return nullptr;
    return &bank_.exemplars[tag];
  }
  double Seen(const PromptBank::Exemplar& exemplar) const {
    return (cosines_[exemplar.row] - exemplar.midpoint) * exemplar.scale;
  }
  // Words and pictures, neither with more weight than certainty has.
  static double Together(double said, double seen) {
    constexpr double kCertain = 6;  // 0.9975
    return (std::clamp(said, -kCertain, kCertain) + std::clamp(seen, -kCertain, kCertain)) / 2;
  }
  double Background() const { return LevelOf(cosines_, bank_.tags, bank_.background, scale_); }

  // exp(s c_tag) over itself plus the rows it is compared with, without overflow: the rivals enter
  // relative to the tag.
  double TextContrast(int tag) const {
    double sum = 0.0;
    const double own = cosines_[tag];
    for (int i = 0; i < bank_.background; ++i)
      sum += std::exp(scale_ * (cosines_[bank_.tags + i] - own));
    const PromptBank::Range negatives = bank_.negatives[tag];
    for (int i = 0; i < negatives.count; ++i)
      sum += std::exp(scale_ * (cosines_[negatives.first + i] - own));
    return 1.0 / (1.0 + sum);  // sum may be infinity: the score is then 0
  }

  const PromptBank& bank_;
  const std::span<const float> cosines_;
  const double scale_;
};

struct Thresholds {
  double on = 0.5, off = 0.4;
};

Thresholds ThresholdsOf(const TagSpec& tag, const PolicyOptions& options) {
  Thresholds t;
  t.on = tag.threshold >= 0 ? tag.threshold : options.threshold;
  if (tag.off_threshold >= 0)
    t.off = tag.off_threshold;
  else if (options.off_threshold >= 0)
    t.off = options.off_threshold;
  else
    t.off = 0.8 * t.on;
  t.off = std::min(t.off, t.on);
  return t;
}

uint64_t MinDurationOf(const TagSpec& tag, const PolicyOptions& options) {
  if (tag.min_duration_s >= 0) return static_cast<uint64_t>(tag.min_duration_s * 1e9);
  return options.min_duration_ns;
}

uint64_t Since(Moment now, Moment then) {
  return now.time_ns > then.time_ns ? now.time_ns - then.time_ns : 0;
}

}  // namespace

void ScoreTags(const PromptBank& bank, std::span<const float> cosines, Scoring scoring,
               double logit_scale, double logit_bias, std::span<double> scores) {
  if (bank.tags == 0) return;
  const Scorer scorer(bank, cosines, logit_scale);
  if (scoring == Scoring::kSoftmax) return scorer.Softmax(scores.first(bank.tags));
  for (int i = 0; i < bank.tags; ++i) {
    switch (scoring) {
      case Scoring::kSigmoid:
        scores[i] = scorer.SigmoidOf(i, logit_bias);
        break;
      case Scoring::kCosine:
        scores[i] = scorer.Cosine(i);
        break;
      case Scoring::kContrast:
        scores[i] = scorer.Contrast(i);
        break;
      case Scoring::kSoftmax:
        break;  // above, over all tags
    }
  }
}

void ScoreParts(const PromptBank& bank, std::span<const float> cosines, Scoring scoring,
                double logit_scale, double logit_bias, std::span<double> scores,
                std::span<int> parts) {
  const size_t rows = static_cast<size_t>(bank.row_count());
  std::vector<double> own(scores.size());
  for (size_t part = 0; part * rows < cosines.size(); ++part) {
    ScoreTags(bank, cosines.subspan(part * rows, rows), scoring, logit_scale, logit_bias, own);
    for (size_t i = 0; i < own.size(); ++i) {
      // NaN is never active, and sorting needs an order.
      const double score = std::isfinite(own[i]) ? own[i] : 0.0;
      if (part > 0 && score <= scores[i]) continue;
      scores[i] = score;
      parts[i] = static_cast<int>(part);
    }
  }
}

void TagPolicy::Adopt(const std::shared_ptr<const PromptBank>& bank, Moment now,
                      std::vector<TagEvent>* events) {
  // By label: banks may hold ten thousand. A label that occurs twice keeps its order.
  constexpr size_t kNone = SIZE_MAX;
  std::unordered_map<std::string_view, size_t> first_of;
  std::vector<size_t> next_of(states_.size(), kNone);  // of the same label
  for (size_t i = states_.size(); i-- > 0;) {
    const auto [it, is_new] = first_of.try_emplace(states_[i].label, i);
    if (!is_new) next_of[i] = std::exchange(it->second, i);
  }
  std::vector<State> states(bank->tags);
  std::vector<bool> taken(states_.size());  // neither ended below nor given to a second tag
  for (int i = 0; i < bank->tags; ++i) {
    states[i].label = bank->spec.tags[i].label;
    const auto old = first_of.find(states[i].label);
    if (old == first_of.end() || old->second == kNone) continue;
    states[i] = states_[old->second];
    taken[old->second] = true;
    old->second = next_of[old->second];
  }
  states_.swap(states);
  for (size_t i = 0; i < states.size(); ++i) {
    if (!taken[i]) End(states[i], now, events);
  }
  bank_ = bank;
}

void TagPolicy::End(const State& state, Moment now, std::vector<TagEvent>* events) {
  if (!state.active() || !events) return;
  events->push_back({.label = state.label,
                     .start = false,
                     .at = now,
                     .score = state.last,
                     .duration_ns = Since(now, state.since),
                     .peak = state.peak});
}

void TagPolicy::Smooth(double score, double weight, State* state) {
  state->last = state->smoothed ? state->last + (score - state->last) * weight : score;
  state->smoothed = true;
}

void TagPolicy::Decide(const TagSpec& tag, const PolicyOptions& options, Moment now, State* state,
                       std::vector<TagEvent>* events) {
  const Thresholds t = ThresholdsOf(tag, options);
  const double score = state->last;
  // Risen in what is now the future: time has jumped back, and the wait starts again.
  if (state->phase == Phase::kRisen && now.time_ns < state->since.time_ns)
    state->phase = Phase::kInactive;
  if (state->phase != Phase::kInactive && score < t.off) {
    End(*state, now, events);
    state->phase = Phase::kInactive;
    return;
  }
  if (state->phase == Phase::kInactive) {
    if (score < t.on) return;
    state->phase = Phase::kRisen;
    state->since = now;
    state->first = state->peak = score;
  }
  state->peak = std::max(state->peak, score);
  if (state->phase == Phase::kActive || Since(now, state->since) < MinDurationOf(tag, options))
    return;
  state->phase = Phase::kActive;
  if (events) {
    events->push_back({.label = state->label,
                       .start = true,
                       .at = state->since,
                       .score = state->first,
                       .peak = state->peak});
  }
}

std::vector<Tag> TagPolicy::Update(const std::shared_ptr<const PromptBank>& bank,
                                   std::span<const float> cosines, const PolicyOptions& options,
                                   double logit_scale, double logit_bias, Moment now,
                                   std::vector<TagEvent>* events) {
  if (bank != bank_) Adopt(bank, now, events);
  const int n = bank->tags;
  const double scale = options.temperature > 0 ? 1.0 / options.temperature : logit_scale;
  std::vector<double> scores(n);
  std::vector<int> parts(n);
  ScoreParts(*bank, cosines, options.scoring, scale, logit_bias, scores, parts);

  double weight = 1.0;  // of the new scores in the mean
  if (options.smoothing_ns > 0 && now.time_ns >= last_time_ns_) {
    const auto passed = static_cast<double>(now.time_ns - last_time_ns_);
    weight = -std::expm1(-passed / static_cast<double>(options.smoothing_ns));
  }
  last_time_ns_ = now.time_ns;
  for (int i = 0; i < n; ++i) {
    Smooth(scores[i], weight, &states_[i]);
    scores[i] = states_[i].last;
    Decide(bank->spec.tags[i], options, now, &states_[i], events);
  }

  std::vector<int> order(n);
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return scores[a] > scores[b]; });
  const int listed = options.top_k > 0 ? std::min(options.top_k, n) : n;
  std::vector<Tag> tags;
  for (int rank = 0; rank < n; ++rank) {
    const int i = order[rank];
    if (rank >= listed && !states_[i].active()) continue;
    tags.push_back({.label = states_[i].label,
                    .score = scores[i],
                    .cosine = cosines[static_cast<size_t>(parts[i]) * bank->row_count() + i],
                    .active = states_[i].active(),
                    .part = parts[i]});
  }
  return tags;
}

void TagPolicy::Reset(Moment now, std::vector<TagEvent>* events) {
  for (const State& state : states_) End(state, now, events);
  states_.clear();
  bank_.reset();
}

}  // namespace cliptag
