#include "plugin/cli/eval/measures/linear_probe.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <numeric>
#include <random>

namespace cliptag {
namespace {

using Vector = std::vector<double>;

double Product(const Vector& a, const Vector& b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

// The loss of weights and its gradient.
class Loss {
 public:
  Loss(const ProbeData& data, int classes, double l2, std::span<const double> prior)
      : data_(data),
        classes_(static_cast<size_t>(classes)),
        l2_(l2),
        prior_(prior),
        logits_(classes_) {}

  double operator()(const Vector& weights, Vector* gradient) {
    const size_t dim = data_.dim;
    double loss = 0;
    for (size_t i = 0; i < weights.size(); ++i) {
      const double apart = weights[i] - (prior_.empty() ? 0 : prior_[i]);
      loss += l2_ / 2 * apart * apart;
      (*gradient)[i] = l2_ * apart;
    }
    const double share = 1.0 / static_cast<double>(data_.labels.size());
    for (size_t n = 0; n < data_.labels.size(); ++n) {
      const float* x = &data_.rows[n * dim];
      for (size_t c = 0; c < classes_; ++c) {
        const double* w = &weights[c * dim];
        double logit = 0;
        for (size_t i = 0; i < dim; ++i) logit += w[i] * x[i];
        logits_[c] = logit;
      }
      const size_t truth = static_cast<size_t>(data_.labels[n]);
      const double most = *std::max_element(logits_.begin(), logits_.end());
      double sum = 0;
      for (const double logit : logits_) sum += std::exp(logit - most);
      loss += share * (most + std::log(sum) - logits_[truth]);
      for (size_t c = 0; c < classes_; ++c) {
        const double pull = share * (std::exp(logits_[c] - most) / sum - (c == truth ? 1 : 0));
        double* g = &(*gradient)[c * dim];
        for (size_t i = 0; i < dim; ++i) g[i] += pull * x[i];
      }
    }
    return loss;
  }

 private:
  const ProbeData& data_;
  const size_t classes_;
  const double l2_;
  const std::span<const double> prior_;
  Vector logits_;
};

// What L-BFGS remembers of the last steps: an estimate of the curvature.
class Memory {
 public:
  void Add(Vector step, Vector change) {
    const double curvature = Product(step, change);
    if (!(curvature > 1e-12 * Product(change, change))) return;  // rounding alone: says nothing
    constexpr size_t kSteps = 10;
    if (pairs_.size() == kSteps) pairs_.pop_front();
    pairs_.push_back({std::move(step), std::move(change), 1 / curvature});
  }

  // The way down that the gradient and the curvature suggest (the two-loop recursion).
  Vector Direction(const Vector& gradient) const {
    Vector d = gradient;
    Vector alpha(pairs_.size());
    for (size_t k = pairs_.size(); k-- > 0;) {
      alpha[k] = pairs_[k].inverse * Product(pairs_[k].step, d);
      Axpy(-alpha[k], pairs_[k].change, &d);
    }
    if (!pairs_.empty()) {
      const Pair& last = pairs_.back();
      const double scale = 1 / (last.inverse * Product(last.change, last.change));
      for (double& value : d) value *= scale;
    }
    for (size_t k = 0; k < pairs_.size(); ++k) {
      Axpy(alpha[k] - pairs_[k].inverse * Product(pairs_[k].change, d), pairs_[k].step, &d);
    }
    for (double& value : d) value = -value;
    return d;
  }

  static void Axpy(double a, const Vector& x, Vector* y) {
    for (size_t i = 0; i < x.size(); ++i) (*y)[i] += a * x[i];
  }

 private:
  struct Pair {
    Vector step, change;  // of the weights, of the gradient
    double inverse = 0;   // of their product
  };
  std::deque<Pair> pairs_;
};

double Largest(const Vector& v) {
  double largest = 0;
  for (const double value : v) largest = std::max(largest, std::abs(value));
  return largest;
}

// Solves the symmetric system a x = b by conjugate gradients; where it is singular, the shortest
// solution.
Vector SolveSymmetric(const std::vector<Vector>& a, const Vector& b) {
  const size_t n = b.size();
  Vector x(n), r = b, p = b, ap(n);
  double rr = Product(r, r);
  const double enough = 1e-28 * rr;
  for (size_t step = 0; step < 4 * n + 20 && rr > enough; ++step) {
    for (size_t i = 0; i < n; ++i) ap[i] = Product(a[i], p);
    const double curvature = Product(p, ap);
    if (!(curvature > 0)) break;
    const double alpha = rr / curvature;
    Memory::Axpy(alpha, p, &x);
    Memory::Axpy(-alpha, ap, &r);
    const double next = Product(r, r);
    for (size_t i = 0; i < n; ++i) p[i] = r[i] + next / rr * p[i];
    rr = next;
  }
  return x;
}

}  // namespace

ProbeFit FitProbe(const ProbeData& data, int classes, double l2, std::span<const double> prior) {
  constexpr int kMostIterations = 1000;
  constexpr double kFlat = 1e-7;  // of the gradient's largest component
  Loss loss_of(data, classes, l2, prior);
  ProbeFit fit;
  fit.weights.assign(static_cast<size_t>(classes) * data.dim, 0);
  if (!prior.empty()) fit.weights.assign(prior.begin(), prior.end());
  Vector gradient(fit.weights.size()), next_gradient(fit.weights.size());
  fit.loss = loss_of(fit.weights, &gradient);
  Memory memory;
  while (fit.iterations < kMostIterations && Largest(gradient) > kFlat) {
    ++fit.iterations;
    const Vector direction = memory.Direction(gradient);
    const double slope = Product(direction, gradient);
    // Armijo's rule; the curvature that a convex loss has makes the pair a good one in any case.
    double length = fit.iterations == 1 ? 1 / std::max(1.0, std::sqrt(-slope)) : 1;
    Vector next;
    double next_loss = 0;
    bool lower = false;
    for (int halving = 0; halving < 40 && !lower; ++halving, length /= 2) {
      next = fit.weights;
      Memory::Axpy(length, direction, &next);
      next_loss = loss_of(next, &next_gradient);
      lower = next_loss <= fit.loss + 1e-4 * length * slope;
    }
    if (!lower) break;  // as low as doubles can tell
    Vector step(next.size()), change(next.size());
    for (size_t i = 0; i < next.size(); ++i) {
      step[i] = next[i] - fit.weights[i];
      change[i] = next_gradient[i] - gradient[i];
    }
    memory.Add(std::move(step), std::move(change));
    fit.weights = std::move(next);
    fit.loss = next_loss;
    gradient.swap(next_gradient);
  }
  fit.gradient = Largest(gradient);
  return fit;
}

UnitRows MakeUnitRows(const std::vector<double>& weights, int classes, size_t dim) {
  const size_t n = static_cast<size_t>(classes);
  // Rows u about their mean. Looked for is a y, a sum of them, with |u + y| the same for all: that
  // is, 2 u.y = k - |u|^2, where k is the mean of |u|^2, since the rows add up to zero.
  Vector mean(dim);
  for (size_t c = 0; c < n; ++c) {
    for (size_t i = 0; i < dim; ++i) mean[i] += weights[c * dim + i] / static_cast<double>(n);
  }
  std::vector<Vector> rows(n, Vector(dim));
  for (size_t c = 0; c < n; ++c) {
    for (size_t i = 0; i < dim; ++i) rows[c][i] = weights[c * dim + i] - mean[i];
  }
  std::vector<Vector> products(n, Vector(n));
  double k = 0;
  for (size_t c = 0; c < n; ++c) {
    for (size_t d = 0; d < n; ++d) products[c][d] = Product(rows[c], rows[d]);
    k += products[c][c] / static_cast<double>(n);
  }
  Vector wanted(n), y(dim);
  for (size_t c = 0; c < n; ++c) wanted[c] = (k - products[c][c]) / 2;
  const Vector share = SolveSymmetric(products, wanted);
  for (size_t c = 0; c < n; ++c) Memory::Axpy(share[c], rows[c], &y);

  UnitRows unit;
  unit.scale = std::sqrt(k + Product(y, y));
  for (Vector& row : rows) {
    Memory::Axpy(1, y, &row);
    const double length = std::sqrt(Product(row, row));
    unit.worst = std::max(unit.worst, std::abs(length - unit.scale) / unit.scale);
    for (const double value : row) unit.rows.push_back(static_cast<float>(value / length));
  }
  return unit;
}

std::vector<size_t> DrawShots(std::span<const int> labels, int classes, int shots, uint64_t seed) {
  std::vector<std::vector<size_t>> of_class(static_cast<size_t>(classes));
  for (size_t i = 0; i < labels.size(); ++i) of_class[static_cast<size_t>(labels[i])].push_back(i);
  // mt19937_64 gives the same numbers everywhere; std::shuffle does not.
  std::mt19937_64 random(seed);
  std::vector<size_t> drawn;
  for (std::vector<size_t>& pictures : of_class) {
    for (size_t i = pictures.size(); i > 1; --i) std::swap(pictures[i - 1], pictures[random() % i]);
    const size_t take =
        shots == 0 ? pictures.size() : std::min(pictures.size(), static_cast<size_t>(shots));
    drawn.insert(drawn.end(), pictures.begin(), pictures.begin() + static_cast<ptrdiff_t>(take));
  }
  return drawn;
}

}  // namespace cliptag
