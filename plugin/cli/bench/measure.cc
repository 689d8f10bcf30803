#include "plugin/cli/bench/measure.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <string>

#include "plugin/engine/recent_values.h"

namespace cliptag {

double NowMs() {
  return std::chrono::duration<double, std::milli>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

double ResidentMb() {
  std::ifstream statm("/proc/self/statm");
  double total_pages = 0, resident_pages = 0;
  if (!(statm >> total_pages >> resident_pages)) return 0;
  return resident_pages * static_cast<double>(sysconf(_SC_PAGESIZE)) / 1e6;
}

double AnonymousMb() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("RssAnon:", 0) == 0) return std::strtod(line.c_str() + 8, nullptr) * 1024 / 1e6;
  }
  return 0;
}

double CpuSeconds() {
  rusage usage{};
  if (getrusage(RUSAGE_SELF, &usage) != 0) return 0;
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// Short durations have a bucket each; from there on every power of two has 2^kBits of them.
size_t DurationCounts::BucketOf(uint64_t ns) {
  const int shift = std::max(0, static_cast<int>(std::bit_width(ns)) - 1 - kBits);
  return (static_cast<size_t>(shift) << kBits) + static_cast<size_t>(ns >> shift);
}

double DurationCounts::MiddleOf(size_t bucket) {
  if (bucket < size_t{2} << kBits) return static_cast<double>(bucket);
  const size_t shift = (bucket >> kBits) - 1;
  const size_t digits = bucket - (shift << kBits);
  return std::ldexp(static_cast<double>(digits) + 0.5, static_cast<int>(shift));
}

void DurationCounts::Merge(const DurationCounts& other) {
  for (size_t i = 0; i < kBuckets; ++i) counts_[i] += other.counts_[i];
}

uint64_t DurationCounts::size() const {
  uint64_t sum = 0;
  for (const uint32_t count : counts_) sum += count;
  return sum;
}

double DurationCounts::QuantileMs(double q) const {
  const auto rank = static_cast<uint64_t>(std::ceil(q * static_cast<double>(size())));
  uint64_t sum = 0;
  for (size_t i = 0; i < kBuckets; ++i) {
    sum += counts_[i];
    if (counts_[i] > 0 && sum >= rank) return MiddleOf(i) / 1e6;
  }
  return 0;
}

double Timing::median_ms() const { return Quantile(call_ms, 0.5); }
double Timing::p99_ms() const { return Quantile(call_ms, 0.99); }

Result<Timing> Measure(const std::function<Status(int64_t)>& call, double seconds) {
  constexpr int64_t kLeastWarmUp = 2;
  constexpr size_t kLeastCalls = 3;
  int64_t i = 0;
  const double warm_ms = NowMs() + 100 * seconds;
  while (i < kLeastWarmUp || NowMs() < warm_ms) CLIPTAG_RETURN_IF_ERROR(call(i++));
  Timing timing;
  double begin_ms = NowMs();
  const double end_ms = begin_ms + 1000 * seconds;
  while (timing.call_ms.size() < kLeastCalls || begin_ms < end_ms) {
    CLIPTAG_RETURN_IF_ERROR(call(i++));
    const double now_ms = NowMs();
    timing.call_ms.push_back(now_ms - begin_ms);
    begin_ms = now_ms;
  }
  return timing;
}

}  // namespace cliptag
