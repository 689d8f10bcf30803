// The CPU backend's threads: persistent workers that share the tasks of one Run after another. Run
// does not allocate. Workers spin for some microseconds after it, so that the next operation of a
// forward pass finds them awake, and then sleep in the kernel.
//
// Ownership: owns its threads, joins them when destroyed.
// Thread safety: Run is called by one thread at a time, and never from inside a task.
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <thread>
#include <vector>

#include "kernels/base/function_ref.h"

namespace cliptag {

// How many threads this process can keep busy: the cores of its affinity mask, limited by the CPU
// quota of its control groups (v1 or v2). At least 1.
int AvailableThreads();

class ThreadPool {
 public:
  // `threads` includes the caller of Run; 0 = AvailableThreads(). If the system refuses a thread,
  // the pool is smaller and a warning is logged.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int size() const { return static_cast<int>(workers_.size()) + 1; }

  // Calls fn(task, worker) once for every task in 0..tasks-1 and returns when all have ended. Free
  // workers claim tasks in order; `worker` is below size(), and 0 for the caller. Tasks see what
  // the caller wrote before, and the caller sees what they wrote. If a task throws, its exception
  // is rethrown here once all have ended; if several do, the first one.
  void Run(int tasks, FunctionRef<void(int task, int worker)> fn);

  // Calls fn(first, count, worker) for ranges that cover `rows` rows of `cols` elements each, on as
  // many threads as that much work is worth.
  void RunRows(int64_t rows, int64_t cols,
               FunctionRef<void(int64_t first, int64_t count, int worker)> fn);
  // Calls fn(row) for each.
  template <typename Row>
  void RunEachRow(int64_t rows, int64_t cols, const Row& fn) {
    RunRows(rows, cols, [&fn](int64_t first, int64_t count, int) {
      for (int64_t r = first; r < first + count; ++r) fn(r);
    });
  }

 private:
  using Fn = FunctionRef<void(int, int)>;

  void Work(int worker);
  void Drain(int worker);

  // The running job. Run writes it while unclaimed_ is 0; threads read it after they have claimed a
  // task. Run does not return before claimed tasks have ended, so these cannot change meanwhile.
  int tasks_ = 0;
  const Fn* fn_ = nullptr;

  alignas(64) std::atomic<int> unclaimed_{0};
  alignas(64) std::atomic<int> unfinished_{0};
  // The number of jobs so far; sleeping workers wait on it.
  alignas(64) std::atomic<uint32_t> epoch_{0};
  std::atomic<bool> stop_{false};
  std::atomic<bool> failed_{false};  // a task of the running job has thrown
  std::exception_ptr error_;         // its exception, written by the thread that set failed_
  std::vector<std::thread> workers_;
};

}  // namespace cliptag
