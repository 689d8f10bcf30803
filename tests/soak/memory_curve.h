// Memory of this process over time: sampled by a thread of its own, written as CSV where wanted,
// drawn in characters.
//
// Thread safety: made, read and destroyed by one thread.
#pragma once

#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace cliptag::test {

struct MemorySample {
  double seconds = 0;  // since the curve began
  double rss_mb = 0, anonymous_mb = 0;
};

class MemoryCurve {
 public:
  // `csv`: empty for none; a line is written as soon as it is known.
  MemoryCurve(double period_s, const std::string& csv);
  ~MemoryCurve();
  MemoryCurve(const MemoryCurve&) = delete;
  MemoryCurve& operator=(const MemoryCurve&) = delete;

  std::vector<MemorySample> samples() const;
  // The largest and the mean anonymous memory of the samples in [from, to), as parts of their
  // number.
  struct Part {
    double most_mb = 0, mean_mb = 0;
  };
  Part Between(double from, double to) const;
  std::string Drawn() const;  // a few lines

 private:
  void Run(double period_s, const std::string& csv);

  mutable std::mutex mutex_;
  std::condition_variable stop_;
  std::vector<MemorySample> samples_;  // guarded by mutex_
  bool stopping_ = false;              // guarded by mutex_
  std::thread thread_;
};

}  // namespace cliptag::test
