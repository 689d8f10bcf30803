// A linear probe: logistic regression on embeddings that stay as they are, for whoever has a few
// labelled pictures.
//
// The model: logits = W x for a unit embedding x, without a bias and without standardising x, so
// that W's rows can stand where embeddings of texts do (UnitRows). The loss is the mean
// cross-entropy plus l2 / 2 times the sum of squares of W - W0; W0 is zero, or what the class's
// name says (the scaled embeddings of its prompts), so that few pictures correct the words rather
// than replace them. Minimised by L-BFGS in double precision; the loss is convex, so where it ends
// does not depend on where it begins.
//
// Thread safety: pure functions.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "plugin/cli/eval/measures/metrics.h"

namespace cliptag {

struct ProbeOptions {
  std::vector<int> shots = {1, 2, 4, 8, 16};
  int seeds = 5;  // draws of each number of shots
  double l2 = 3e-3;
  bool from_words = false;  // W0 is what the names say
};

// Embeddings of unit length with a class each.
struct ProbeData {
  size_t dim = 0;
  std::span<const float> rows;  // (labels, dim)
  std::span<const int> labels;
};

struct ProbeFit {
  std::vector<double> weights;  // (classes, dim)
  double loss = 0;
  double gradient = 0;  // its largest component at the end
  int iterations = 0;
};

// `prior` is W0, (classes, dim), or empty for zero.
ProbeFit FitProbe(const ProbeData& data, int classes, double l2, std::span<const double> prior);

// Rows of unit length and the scale with which they give the same probabilities: softmax does not
// change when the same vector is added to every row, and there is one (the way to the middle of
// the sphere on which all rows lie) that makes them all equally long. Exact as long as there are
// no more than dim + 1 classes and no three of them in a line, else as near as possible;
// `worst` is the largest difference of a row's length from the scale, as a share of it.
struct UnitRows {
  std::vector<float> rows;  // (classes, dim)
  double scale = 0, worst = 0;
};
UnitRows MakeUnitRows(const std::vector<double>& weights, int classes, size_t dim);

// Which of the embeddings a draw takes: `shots` of each class, or all where it has fewer. 0: all.
std::vector<size_t> DrawShots(std::span<const int> labels, int classes, int shots, uint64_t seed);

struct ProbePoint {
  int shots = 0;                   // 0: all pictures
  std::vector<double> top1;        // of each draw
  double mean = 0, deviation = 0;  // of these; the sample's, 0 for a single draw
};

struct ProbeResult {
  size_t pictures = 0;  // to learn from
  double l2 = 0;
  bool from_words = false;
  uint64_t seed = 0;
  int smallest_class = 0;          // its number of pictures
  std::vector<ProbePoint> points;  // by shots, all pictures last
  Accuracy all;                    // of the last
  UnitRows bank;
};

}  // namespace cliptag
