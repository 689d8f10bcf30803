// The linear probe: that it finds the minimum, and that unit rows say the same.
#include "plugin/cli/eval/measures/linear_probe.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <set>
#include <vector>

#include "models/prompts/prompts.h"

namespace cliptag {
namespace {

struct Sample {
  size_t dim;
  int classes;
  std::vector<float> rows;
  std::vector<int> labels;
  ProbeData data() const { return {dim, rows, labels}; }
};

// Clouds of unit vectors, one for each class, that overlap.
Sample Clouds(int classes, size_t dim, int each, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  Sample sample{dim, classes, {}, {}};
  std::vector<float> middles(static_cast<size_t>(classes) * dim);
  for (float& value : middles) value = normal(random);
  for (int n = 0; n < classes * each; ++n) {
    const size_t c = static_cast<size_t>(n % classes);
    std::vector<float> row(dim);
    double squares = 0;
    for (size_t i = 0; i < dim; ++i) {
      row[i] = middles[c * dim + i] + 1.5f * normal(random);
      squares += row[i] * row[i];
    }
    for (float& value : row) sample.rows.push_back(value / static_cast<float>(std::sqrt(squares)));
    sample.labels.push_back(static_cast<int>(c));
  }
  return sample;
}

// Written down once more, the plain way.
double LossOf(const Sample& s, const std::vector<double>& w, double l2) {
  double loss = 0;
  for (const double value : w) loss += l2 / 2 * value * value;
  for (size_t n = 0; n < s.labels.size(); ++n) {
    double sum = 0, own = 0;
    for (int c = 0; c < s.classes; ++c) {
      double logit = 0;
      for (size_t i = 0; i < s.dim; ++i) {
        logit += w[static_cast<size_t>(c) * s.dim + i] * s.rows[n * s.dim + i];
      }
      sum += std::exp(logit);
      if (c == s.labels[n]) own = logit;
    }
    loss += (std::log(sum) - own) / static_cast<double>(s.labels.size());
  }
  return loss;
}

TEST(FitProbe, EndsAtTheMinimum) {
  const Sample sample = Clouds(4, 12, 10, 1);
  for (const double l2 : {1e-4, 1e-2, 1.0}) {
    const ProbeFit fit = FitProbe(sample.data(), 4, l2, {});
    EXPECT_LE(fit.gradient, 1e-7) << l2;
    EXPECT_LT(fit.iterations, 500) << l2;
    EXPECT_NEAR(LossOf(sample, fit.weights, l2), fit.loss, 1e-9) << l2;
    // A convex loss: no step anywhere leads lower.
    std::mt19937 random(2);
    std::normal_distribution<double> normal;
    for (int step = 0; step < 50; ++step) {
      std::vector<double> moved = fit.weights;
      for (double& value : moved) value += 0.05 * normal(random);
      EXPECT_GT(LossOf(sample, moved, l2), fit.loss) << l2;
    }
  }
}

// Two classes on a line: where the derivative is zero can be found by halving.
TEST(FitProbe, AsSolvedByHand) {
  const std::vector<float> rows = {1, 1, -1};
  const std::vector<int> labels = {0, 0, 1};
  const double l2 = 0.1;
  const ProbeFit fit = FitProbe({1, rows, labels}, 2, l2, {});
  // Weights a and -a; all three are right by 2 a: derivative l2 a - 1 / (1 + exp(2 a)) = 0.
  double low = 0, high = 10;
  for (int i = 0; i < 100; ++i) {
    const double a = (low + high) / 2;
    (l2 * a - 1 / (1 + std::exp(2 * a)) < 0 ? low : high) = a;
  }
  EXPECT_NEAR(low, fit.weights[0], 1e-5);
  EXPECT_NEAR(-low, fit.weights[1], 1e-5);
}

TEST(FitProbe, APriorIsWhereItStaysWithoutEvidence) {
  const Sample sample = Clouds(3, 8, 4, 3);
  std::vector<double> prior(24);
  for (size_t i = 0; i < prior.size(); ++i) prior[i] = std::sin(static_cast<double>(i));
  const ProbeFit held = FitProbe(sample.data(), 3, 1e6, prior);
  const ProbeFit free = FitProbe(sample.data(), 3, 1e-3, prior);
  double moved = 0;
  for (size_t i = 0; i < prior.size(); ++i) {
    EXPECT_NEAR(prior[i], held.weights[i], 1e-5);
    moved = std::max(moved, std::abs(prior[i] - free.weights[i]));
  }
  EXPECT_GT(moved, 0.1);
}

TEST(MakeUnitRows, TheSameProbabilities) {
  for (const int classes : {2, 5, 12, 13}) {
    const Sample sample = Clouds(classes, 12, 6, 5);
    const ProbeFit fit = FitProbe(sample.data(), classes, 1e-3, {});
    const UnitRows unit = MakeUnitRows(fit.weights, classes, 12);
    EXPECT_LT(unit.worst, 1e-5) << classes;
    for (size_t n = 0; n < sample.labels.size(); ++n) {
      // Differences to the first class are all that softmax sees.
      const float* x = &sample.rows[n * 12];
      const auto logit = [&](size_t c) {
        double sum = 0;
        for (size_t i = 0; i < 12; ++i) sum += fit.weights[c * 12 + i] * x[i];
        return sum;
      };
      for (size_t c = 0; c < static_cast<size_t>(classes); ++c) {
        double length = 0;
        for (size_t i = 0; i < 12; ++i) length += unit.rows[c * 12 + i] * unit.rows[c * 12 + i];
        ASSERT_NEAR(1, length, 1e-5);
        const double got =
            unit.scale * (Dot(&unit.rows[c * 12], x, 12) - Dot(&unit.rows[0], x, 12));
        ASSERT_NEAR(logit(c) - logit(0), got, 1e-4 * unit.scale) << classes << " " << n << " " << c;
      }
    }
  }
}

TEST(DrawShots, OfEachClassAndWithoutRepetition) {
  std::vector<int> labels;
  for (int i = 0; i < 30; ++i) labels.push_back(i % 3);
  labels.push_back(3);  // a class with a single picture
  const std::vector<size_t> drawn = DrawShots(labels, 4, 4, 1);
  EXPECT_EQ(13u, drawn.size());
  EXPECT_EQ(13u, std::set<size_t>(drawn.begin(), drawn.end()).size());
  for (int c = 0; c < 4; ++c) {
    EXPECT_EQ(c == 3 ? 1 : 4,
              std::count_if(drawn.begin(), drawn.end(), [&](size_t i) { return labels[i] == c; }));
  }
  EXPECT_EQ(drawn, DrawShots(labels, 4, 4, 1));
  EXPECT_NE(drawn, DrawShots(labels, 4, 4, 2));
  EXPECT_EQ(31u, DrawShots(labels, 4, 0, 1).size());
}

}  // namespace
}  // namespace cliptag
