#include "plugin/cli/eval/calibrate/calibrate.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdio>

namespace cliptag {
namespace {

constexpr int kLeastSupport = 5;
constexpr double kMost = 0.95;  // 19 of 20

std::string Number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4g", value);
  return text;
}

// A number in (above, at] with as few digits as do, near the middle.
double Between(double above, double at) {
  const double middle = above + (at - above) / 2;
  for (double digits = 1e2; digits < 1e15; digits *= 10) {
    const double rounded = std::round(middle * digits) / digits;
    if (rounded > above && rounded <= at) return rounded;
  }
  return at;
}

// The score that `share` of the samples of one kind do not exceed.
double Quantile(const std::vector<Sample>& samples, bool shows, double share) {
  std::vector<double> scores;
  for (const Sample& sample : samples) {
    if (sample.shows == shows) scores.push_back(sample.score);
  }
  const auto at =
      scores.begin() + static_cast<ptrdiff_t>(share * static_cast<double>(scores.size() - 1));
  std::nth_element(scores.begin(), at, scores.end());
  return *at;
}

// What comes of a threshold.
void Judge(const std::vector<Sample>& samples, Calibration* calibration) {
  int right = 0, reported = 0;
  for (const Sample& sample : samples) {
    if (sample.score < calibration->threshold) continue;
    ++reported;
    right += sample.shows;
  }
  calibration->precision = reported > 0 ? static_cast<double>(right) / reported : 1;
  calibration->recall =
      calibration->positives > 0 ? static_cast<double>(right) / calibration->positives : 0;
}

double OffThreshold(const std::vector<Sample>& samples, const CalibrationGoal& goal,
                    double threshold) {
  const double stays = Quantile(samples, true, 1 - kMost);
  const double ends = Quantile(samples, false, kMost);
  const double off = std::min(std::max(stays, ends), goal.off_ratio * threshold);
  const double rounded = std::floor(off * 1e4) / 1e4;
  return rounded > 0 ? rounded : off;
}

}  // namespace

Calibration Calibrate(std::vector<Sample> samples, const CalibrationGoal& goal,
                      double old_threshold, double old_off_threshold) {
  Calibration calibration;
  calibration.threshold = old_threshold;
  calibration.off_threshold = old_off_threshold;
  for (const Sample& sample : samples) {
    ++(sample.shows ? calibration.positives : calibration.negatives);
  }
  std::sort(samples.begin(), samples.end(),
            [](const Sample& a, const Sample& b) { return a.score > b.score; });
  double best = 0;
  int right = 0;
  for (size_t i = 0; i < samples.size(); ++i) {
    right += samples[i].shows;
    const bool last = i + 1 == samples.size();
    if (!last && samples[i + 1].score == samples[i].score) continue;  // one threshold for both
    if (right < kLeastSupport) continue;
    const double precision = static_cast<double>(right) / static_cast<double>(i + 1);
    best = std::max(best, precision);
    if (precision < goal.min_precision) continue;
    calibration.reached = true;
    calibration.threshold = Between(last ? 0 : samples[i + 1].score, samples[i].score);
  }
  if (calibration.positives < kLeastSupport) {
    calibration.why_not = std::to_string(calibration.positives) + " frames show it and " +
                          std::to_string(kLeastSupport) + " are needed";
  } else if (calibration.negatives == 0) {
    calibration.why_not = "every frame shows it, so none can be reported wrongly";
  } else if (!calibration.reached) {
    calibration.why_not =
        "a precision of " + Number(goal.min_precision) + " is not reached, at best " + Number(best);
  }
  if (!calibration.why_not.empty()) {
    calibration.reached = false;
    calibration.threshold = old_threshold;
  }
  Judge(samples, &calibration);
  if (calibration.reached) {
    calibration.off_threshold = OffThreshold(samples, goal, calibration.threshold);
  }
  return calibration;
}

}  // namespace cliptag
