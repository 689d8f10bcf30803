// Timing of repeated calls, counts of very many durations, and what the process costs. One thread
// each.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <vector>

#include "kernels/base/status.h"

namespace cliptag {

double NowMs();        // of a clock that only goes forward
double ResidentMb();   // memory of this process in RAM, MB (10^6 bytes); 0 where it cannot be told
double AnonymousMb();  // of it, what lies in no file: weights, workspaces, heap
double CpuSeconds();   // that all threads of this process have computed so far

struct Timing {
  std::vector<double> call_ms;  // in the order of the calls, warm-up left out

  double median_ms() const;
  double p99_ms() const;  // the smallest time that 99 % of the calls did not exceed
};

// Durations in nanoseconds, counted in buckets less than one percent wide: a few KB however many
// there are.
class DurationCounts {
 public:
  void Add(uint64_t ns) { ++counts_[BucketOf(ns)]; }
  void Merge(const DurationCounts& other);
  uint64_t size() const;
  // The nearest rank's bucket, at its middle; 0 where there is nothing.
  double QuantileMs(double q) const;

 private:
  static constexpr int kBits = 7;  // of a duration's leading digits that are kept
  static constexpr size_t kBuckets = size_t{64 - kBits + 1} << kBits;
  static size_t BucketOf(uint64_t ns);
  static double MiddleOf(size_t bucket);

  std::array<uint32_t, kBuckets> counts_{};
};

// Calls `call(i)`, i = 0, 1, …: first to warm up (at least twice, a tenth of the time), then for
// `seconds`, and three times at least.
Result<Timing> Measure(const std::function<Status(int64_t)>& call, double seconds);

}  // namespace cliptag
