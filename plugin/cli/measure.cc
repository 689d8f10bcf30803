#include "plugin/cli/measure.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <string>

namespace cliptag {
namespace {

// The nearest-rank quantile.
double Quantile(std::vector<double> values, double q) {
  if (values.empty()) return 0;
  const auto rank = static_cast<size_t>(std::ceil(q * static_cast<double>(values.size())));
  const auto nth = values.begin() + static_cast<ptrdiff_t>(std::max<size_t>(rank, 1) - 1);
  std::nth_element(values.begin(), nth, values.end());
  return *nth;
}

}  // namespace

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
