#include "kernels/cuda/libraries/fastest.h"

#include <algorithm>
#include <limits>
#include <vector>

#include "kernels/cuda/device/runtime.h"

namespace cliptag::cuda {
namespace {

constexpr float kShort = 0.05f;         // ms: below this the first way is kept
constexpr float kNoise = 1.04f;         // times within this factor count as equal
constexpr float kClearlySlower = 1.3f;  // after one run: not measured again
constexpr int kRounds = 4;              // of one run of each of the others; the minimum counts
constexpr float kBudget = 10;           // ms of measured runs
constexpr float kBudgetWithLoading =
    100;  // ms including the first use of kernels, which loads them

class Stopwatch {
 public:
  static Result<Stopwatch> Create(cudaStream_t stream) {
    Stopwatch watch(stream);
    CLIPTAG_ASSIGN_OR_RETURN(watch.begin_, Event::CreateTimed());
    CLIPTAG_ASSIGN_OR_RETURN(watch.start_, Event::CreateTimed());
    CLIPTAG_ASSIGN_OR_RETURN(watch.stop_, Event::CreateTimed());
    CLIPTAG_RETURN_IF_ERROR(watch.begin_.Record(stream));
    return watch;
  }

  // Milliseconds of a run.
  Result<float> Measure(FunctionRef<Status()> hold, FunctionRef<Status()> run) {
    CLIPTAG_RETURN_IF_ERROR(hold());
    CLIPTAG_RETURN_IF_ERROR(start_.Record(stream_));
    CLIPTAG_RETURN_IF_ERROR(run());
    CLIPTAG_RETURN_IF_ERROR(stop_.Record(stream_));
    CLIPTAG_RETURN_IF_ERROR(stop_.Await());
    CLIPTAG_ASSIGN_OR_RETURN(const float all, stop_.MillisecondsSince(begin_));
    CLIPTAG_ASSIGN_OR_RETURN(const float these, stop_.MillisecondsSince(start_));
    all_ = all;
    measured_ += these;
    return these;
  }
  bool Spent() const { return measured_ > kBudget || all_ > kBudgetWithLoading; }

 private:
  explicit Stopwatch(cudaStream_t stream) : stream_(stream) {}

  cudaStream_t stream_;
  Event begin_, start_, stop_;
  float measured_ = 0, all_ = 0;
};

}  // namespace

Result<size_t> Fastest(cudaStream_t stream, size_t ways, FunctionRef<Status()> hold,
                       FunctionRef<Status(size_t)> run) {
  CLIPTAG_ASSIGN_OR_RETURN(Stopwatch watch, Stopwatch::Create(stream));
  constexpr float kFailed = std::numeric_limits<float>::infinity();
  std::vector<float> times(ways, kFailed);
  Status failure;
  const auto least = [&times] { return *std::min_element(times.begin(), times.end()); };
  const auto measure = [&](size_t way, FunctionRef<Status()> before) {
    const auto time = watch.Measure(before, [&] { return run(way); });
    if (!time.ok()) {
      failure = time.status();
      times[way] = kFailed;
    } else {
      times[way] = std::min(times[way], *time);
    }
  };
  for (size_t way = 0; way < ways && !watch.Spent(); ++way) {
    const Status warm = run(way);
    if (!warm.ok()) {
      failure = warm;
    } else if (way > 0) {
      measure(way, hold);
    } else {
      measure(way, [] { return Status(); });
      if (times[0] < kShort) return way;
    }
  }
  const float limit = kClearlySlower * least();
  for (int round = 0; round < kRounds; ++round) {
    for (size_t way = 0; way < ways && !watch.Spent(); ++way) {
      if (times[way] <= limit && times[way] != kFailed) measure(way, hold);
    }
  }
  const float enough = kNoise * least();
  if (enough == kFailed) return failure;
  size_t fastest = 0;
  while (times[fastest] > enough) ++fastest;
  return fastest;
}

}  // namespace cliptag::cuda
