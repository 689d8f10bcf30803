// Timing of repeated calls, and what the process costs. One thread.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "kernels/base/status.h"

namespace cliptag {

double NowMs();        // of a clock that only goes forward
double ResidentMb();   // memory of this process in RAM, MB (10^6 bytes); 0 where it cannot be told
double AnonymousMb();  // of it, what lies in no file: weights, workspaces, heap

struct Timing {
  std::vector<double> call_ms;  // in the order of the calls, warm-up left out

  double median_ms() const;
  double p99_ms() const;  // the smallest time that 99 % of the calls did not exceed
};

// Calls `call(i)`, i = 0, 1, …: first to warm up (at least twice, a tenth of the time), then for
// `seconds`, and three times at least.
Result<Timing> Measure(const std::function<Status(int64_t)>& call, double seconds);

}  // namespace cliptag
