#include "plugin/cli/eval/probe.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "models/prompts/prompts.h"
#include "plugin/cli/diagnostics.h"

namespace cliptag {
namespace {

LabelledEmbeddings Take(const LabelledEmbeddings& from, const std::vector<size_t>& which) {
  LabelledEmbeddings taken;
  taken.dim = from.dim;
  for (const size_t i : which) {
    const auto row = from.rows.begin() + static_cast<ptrdiff_t>(i * from.dim);
    taken.rows.insert(taken.rows.end(), row, row + static_cast<ptrdiff_t>(from.dim));
    taken.labels.push_back(from.labels[i]);
  }
  return taken;
}

// How a prompt bank of these rows answers: what is tried is what is exported.
Accuracy Try(const UnitRows& bank, int classes, const LabelledEmbeddings& test) {
  Accuracy accuracy(classes);
  std::vector<float> cosines(static_cast<size_t>(classes));
  for (size_t n = 0; n < test.labels.size(); ++n) {
    for (int c = 0; c < classes; ++c) {
      cosines[static_cast<size_t>(c)] =
          Dot(&test.rows[n * test.dim], &bank.rows[static_cast<size_t>(c) * test.dim], test.dim);
    }
    accuracy.Add(test.labels[n], Rank(cosines, test.labels[n]));
  }
  return accuracy;
}

void Summarise(ProbePoint* point) {
  const double n = static_cast<double>(point->top1.size());
  for (const double value : point->top1) point->mean += value / n;
  double squares = 0;
  for (const double value : point->top1) squares += (value - point->mean) * (value - point->mean);
  point->deviation = n > 1 ? std::sqrt(squares / (n - 1)) : 0;
}

}  // namespace

ProbeResult EvaluateProbe(const LabelledEmbeddings& train, const LabelledEmbeddings& test,
                          std::span<const float> class_rows, double logit_scale,
                          const ProbeOptions& options, uint64_t seed) {
  const int classes = static_cast<int>(class_rows.size() / train.dim);
  std::vector<int> count_of(static_cast<size_t>(classes));
  for (const int label : train.labels) ++count_of[static_cast<size_t>(label)];
  ProbeResult result;
  result.pictures = train.labels.size();
  result.l2 = options.l2;
  result.from_words = options.from_words;
  result.seed = seed;
  result.smallest_class = *std::min_element(count_of.begin(), count_of.end());
  std::vector<double> prior;
  if (options.from_words) {
    for (const float value : class_rows) prior.push_back(logit_scale * value);
  }
  std::vector<int> shots = options.shots;
  std::sort(shots.begin(), shots.end());
  shots.erase(std::unique(shots.begin(), shots.end()), shots.end());
  shots.push_back(0);  // all
  Progress progress;
  for (const int k : shots) {
    ProbePoint point;
    point.shots = k;
    for (int draw = 0; draw < (k == 0 ? 1 : options.seeds); ++draw) {
      progress.Show("probe on " + (k == 0 ? std::string("all pictures") : std::to_string(k)) +
                    (k == 0 ? "" : " of each class, draw " + std::to_string(draw + 1)));
      const LabelledEmbeddings taken =
          Take(train, DrawShots(train.labels, classes, k, seed + static_cast<uint64_t>(draw)));
      const ProbeFit fit =
          FitProbe({taken.dim, taken.rows, taken.labels}, classes, options.l2, prior);
      result.bank = MakeUnitRows(fit.weights, classes, taken.dim);
      result.all = Try(result.bank, classes, test);
      point.top1.push_back(result.all.top1());
    }
    Summarise(&point);
    result.points.push_back(std::move(point));
  }
  return result;
}

}  // namespace cliptag
