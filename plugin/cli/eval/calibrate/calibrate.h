// Thresholds from labelled footage: of each tag the lowest one with which what is reported is right
// often enough.
//
// Thread safety: pure functions.
#pragma once

#include <string>
#include <vector>

namespace cliptag {

// A frame's score for one tag, and whether the tag is to be seen in it.
struct Sample {
  double score = 0;
  bool shows = false;
};

struct CalibrationGoal {
  double min_precision = 0.95;
  double off_ratio = 0.8;  // the off-threshold is at most this times the threshold
};

struct Calibration {
  bool reached = false;  // else the thresholds are those of before
  std::string why_not;   // a sentence
  double threshold = 0.5, off_threshold = 0.4;
  int positives = 0, negatives = 0;
  // On the samples, at `threshold`; precision is 1 where nothing is reported.
  double precision = 1, recall = 0;
};

// The threshold lies half way between the lowest score that is reported and the highest that is
// not. With it at least five samples are reported rightly, for one alone would be a matter of luck.
// The off-threshold is what 19 of 20 frames that show the tag reach, so that it stays active; but
// not lower than what 19 of 20 others do not reach, so that it ends, and not higher than off_ratio
// x threshold.
Calibration Calibrate(std::vector<Sample> samples, const CalibrationGoal& goal,
                      double old_threshold, double old_off_threshold);

}  // namespace cliptag
