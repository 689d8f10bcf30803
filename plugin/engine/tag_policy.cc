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

// exp(s c_tag) over itself plus the rows it is compared with, without overflow: the rivals enter as
// their log-sum-exp relative to the tag.
double ContrastScore(const PromptBank& bank, std::span<const float> cosines, int tag,
                     double scale) {
  double sum = 0.0;
  const double own = cosines[tag];
  for (int i = 0; i < bank.background; ++i) sum += std::exp(scale * (cosines[bank.tags + i] - own));
  const PromptBank::Range negatives = bank.negatives[tag];
  for (int i = 0; i < negatives.count; ++i)
    sum += std::exp(scale * (cosines[negatives.first + i] - own));
  return 1.0 / (1.0 + sum);  // sum may be infinity: the score is then 0
}

void SoftmaxScores(std::span<const float> cosines, double scale, std::span<double> scores) {
  const float best = *std::max_element(cosines.begin(), cosines.end());
  double sum = 0.0;
  for (size_t i = 0; i < cosines.size(); ++i) {
    scores[i] = std::exp(scale * (cosines[i] - best));
    sum += scores[i];
  }
  for (double& score : scores) score /= sum;
}

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

uint64_t Since(uint64_t now_ns, uint64_t then_ns) {
  return now_ns > then_ns ? now_ns - then_ns : 0;
}

}  // namespace

void ScoreTags(const PromptBank& bank, std::span<const float> cosines, Scoring scoring,
               double logit_scale, double logit_bias, std::span<double> scores) {
  if (bank.tags == 0) return;
  switch (scoring) {
    case Scoring::kContrast:
      for (int i = 0; i < bank.tags; ++i) scores[i] = ContrastScore(bank, cosines, i, logit_scale);
      break;
    case Scoring::kSoftmax:
      SoftmaxScores(cosines.first(bank.tags), logit_scale, scores.first(bank.tags));
      break;
    case Scoring::kSigmoid:
      for (int i = 0; i < bank.tags; ++i)
        scores[i] = Sigmoid(logit_scale * cosines[i] + logit_bias);
      break;
    case Scoring::kCosine:
      for (int i = 0; i < bank.tags; ++i)
        scores[i] = std::clamp((cosines[i] + 1.0) / 2.0, 0.0, 1.0);
      break;
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
      // Never active, and whoever sorts them needs an order.
      const double score = std::isfinite(own[i]) ? own[i] : 0.0;
      if (part > 0 && score <= scores[i]) continue;
      scores[i] = score;
      parts[i] = static_cast<int>(part);
    }
  }
}

void TagPolicy::Adopt(const std::shared_ptr<const PromptBank>& bank, uint64_t pts_ns,
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
    if (!taken[i]) End(states[i], pts_ns, events);
  }
  bank_ = bank;
}

void TagPolicy::End(const State& state, uint64_t pts_ns, std::vector<TagEvent>* events) {
  if (!state.active || !events) return;
  events->push_back({.label = state.label,
                     .start = false,
                     .pts_ns = pts_ns,
                     .score = state.last,
                     .duration_ns = Since(pts_ns, state.since_ns),
                     .peak = state.peak});
}

std::vector<Tag> TagPolicy::Update(const std::shared_ptr<const PromptBank>& bank,
                                   std::span<const float> cosines, const PolicyOptions& options,
                                   double logit_scale, double logit_bias, uint64_t pts_ns,
                                   std::vector<TagEvent>* events) {
  if (bank != bank_) Adopt(bank, pts_ns, events);
  const int n = bank->tags;
  const double scale = options.temperature > 0 ? 1.0 / options.temperature : logit_scale;
  std::vector<double> scores(n);
  std::vector<int> parts(n);
  ScoreParts(*bank, cosines, options.scoring, scale, logit_bias, scores, parts);

  for (int i = 0; i < n; ++i) {
    State& state = states_[i];
    const Thresholds t = ThresholdsOf(bank->spec.tags[i], options);
    state.last = scores[i];
    if (!state.active && scores[i] >= t.on) {
      state.active = true;
      state.since_ns = pts_ns;
      state.peak = scores[i];
      if (events)
        events->push_back(
            {.label = state.label, .start = true, .pts_ns = pts_ns, .score = scores[i]});
    } else if (state.active && scores[i] < t.off) {
      End(state, pts_ns, events);
      state.active = false;
    } else if (state.active) {
      state.peak = std::max(state.peak, scores[i]);
    }
  }

  std::vector<int> order(n);
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return scores[a] > scores[b]; });
  const int listed = options.top_k > 0 ? std::min(options.top_k, n) : n;
  std::vector<Tag> tags;
  for (int rank = 0; rank < n; ++rank) {
    const int i = order[rank];
    if (rank >= listed && !states_[i].active) continue;
    tags.push_back({.label = states_[i].label,
                    .score = scores[i],
                    .cosine = cosines[static_cast<size_t>(parts[i]) * bank->row_count() + i],
                    .active = states_[i].active,
                    .part = parts[i]});
  }
  return tags;
}

void TagPolicy::Reset(uint64_t pts_ns, std::vector<TagEvent>* events) {
  for (const State& state : states_) End(state, pts_ns, events);
  states_.clear();
  bank_.reset();
}

}  // namespace cliptag
