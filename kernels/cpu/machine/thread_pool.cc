#include "kernels/cpu/machine/thread_pool.h"

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>

#include "kernels/base/caught.h"
#include "kernels/base/concat.h"
#include "kernels/base/log.h"

namespace cliptag {
namespace {

// Long enough to bridge the gap between two operations, short enough to cost nothing when idle.
constexpr std::chrono::microseconds kSpin{8};

// Elements of a task: less work is not worth waking a second thread.
constexpr int64_t kElementsPerTask = 8192;

inline void CpuRelax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Waits until `done()`, for kSpin at most. Returns whether it came true.
template <typename Done>
bool SpinUntil(Done done) {
  const auto deadline = std::chrono::steady_clock::now() + kSpin;
  do {
    for (int i = 0; i < 8; ++i) {
      if (done()) return true;
      CpuRelax();
    }
  } while (std::chrono::steady_clock::now() < deadline);
  return done();
}

void WarnSmaller(int size, int wanted, const Status& why) noexcept {
  try {
    Log(LogLevel::kWarning,
        Concat("Only ", size, " of ", wanted, " threads could be started: inference is slower. ",
               why.message()));
  } catch (...) {  // no memory for a warning
  }
}

}  // namespace

ThreadPool::ThreadPool(int threads) {
  if (threads <= 0) threads = AvailableThreads();
  // The constructor must not throw from here on: nothing would join the threads that already run.
  try {
    workers_.reserve(threads - 1);
    for (int worker = 1; worker < threads; ++worker)
      workers_.emplace_back([this, worker] { Work(worker); });
  } catch (...) {
    WarnSmaller(size(), threads, CaughtException());
  }
}

ThreadPool::~ThreadPool() {
  stop_.store(true, std::memory_order_relaxed);
  epoch_.fetch_add(1, std::memory_order_release);
  epoch_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::Run(int tasks, Fn fn) {
  if (tasks <= 0) return;
  if (workers_.empty() || tasks == 1) {
    for (int task = 0; task < tasks; ++task) fn(task, 0);
    return;
  }
  tasks_ = tasks;
  fn_ = &fn;
  unfinished_.store(tasks, std::memory_order_relaxed);
  unclaimed_.store(tasks, std::memory_order_release);  // from here on tasks can be claimed
  epoch_.fetch_add(1, std::memory_order_release);
  epoch_.notify_all();
  Drain(0);
  const auto finished = [this] { return unfinished_.load(std::memory_order_acquire) == 0; };
  if (!SpinUntil(finished)) {
    for (int left; (left = unfinished_.load(std::memory_order_acquire)) != 0;) {
      unfinished_.wait(left, std::memory_order_acquire);
    }
  }
  if (failed_.load(std::memory_order_relaxed)) {
    failed_.store(false, std::memory_order_relaxed);
    std::rethrow_exception(std::exchange(error_, nullptr));
  }
}

void ThreadPool::RunRows(int64_t rows, int64_t cols, FunctionRef<void(int64_t, int64_t, int)> fn) {
  const int64_t wanted = std::max<int64_t>(1, rows * cols / kElementsPerTask);
  const int tasks = static_cast<int>(std::min({wanted, rows, int64_t{2} * size()}));
  Run(tasks, [&](int task, int worker) {
    const int64_t first = rows * task / tasks;
    fn(first, rows * (task + 1) / tasks - first, worker);
  });
}

void ThreadPool::Drain(int worker) {
  for (;;) {
    int left = unclaimed_.load(std::memory_order_relaxed);
    do {
      if (left <= 0) return;
    } while (!unclaimed_.compare_exchange_weak(left, left - 1, std::memory_order_acq_rel,
                                               std::memory_order_relaxed));
    // The claimed task is of the running job, even if `left` was first read during an older one.
    try {
      (*fn_)(tasks_ - left, worker);
    } catch (...) {
      if (!failed_.exchange(true, std::memory_order_relaxed)) error_ = std::current_exception();
    }
    if (unfinished_.fetch_sub(1, std::memory_order_acq_rel) == 1) unfinished_.notify_one();
  }
}

void ThreadPool::Work(int worker) {
  uint32_t seen = 0;
  for (;;) {
    // Read before the tasks: a later job changes it, so no wake-up is lost.
    const auto changed = [&] { return epoch_.load(std::memory_order_acquire) != seen; };
    if (!SpinUntil(changed)) epoch_.wait(seen, std::memory_order_acquire);
    if (stop_.load(std::memory_order_relaxed)) return;
    seen = epoch_.load(std::memory_order_acquire);
    Drain(worker);
  }
}

}  // namespace cliptag
