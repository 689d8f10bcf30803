// The CPU backend's threads: persistent workers that share out the tasks of one Run after another.
// A Run costs no allocation; workers spin for some microseconds after it, so that the next
// operation of a forward pass finds them awake, and then sleep in the kernel.
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

// How many threads this process can keep busy: the cores its affinity mask allows, cut by the CPU
// quota of its control groups (v1 or v2). At least 1.
int AvailableThreads();

class ThreadPool {
 public:
  // Exactly `threads` threads work, the caller of Run being one; 0 = AvailableThreads(). Where the
  // system refuses a thread, the pool is smaller and a warning is logged.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int size() const { return static_cast<int>(workers_.size()) + 1; }

  // Calls fn(task, worker) once for every task in 0..tasks-1 and returns when all have ended. Tasks
  // are claimed in order by whoever is free; `worker` is 0 for the caller, below size() always.
  // What tasks wrote is visible to the caller, and what the caller wrote before to the tasks.
  // What a task throws is thrown here, once all have ended: the first of it, if several do.
  void Run(int tasks, FunctionRef<void(int task, int worker)> fn);

  // fn(first, count, worker) over ranges that cover `rows` rows of `cols` elements each, on as many
  // threads as so much work feeds.
  void RunRows(int64_t rows, int64_t cols,
               FunctionRef<void(int64_t first, int64_t count, int worker)> fn);

 private:
  using Fn = FunctionRef<void(int, int)>;

  void Work(int worker);
  void Drain(int worker);

  // The running job. Written by Run while unclaimed_ is 0, read by whoever has claimed a task: a
  // claim keeps Run from returning, so these cannot change under its holder.
  int tasks_ = 0;
  const Fn* fn_ = nullptr;

  alignas(64) std::atomic<int> unclaimed_{0};   // tasks nobody has taken
  alignas(64) std::atomic<int> unfinished_{0};  // tasks that have not ended
  alignas(64) std::atomic<uint32_t> epoch_{0};  // counts jobs: what sleeping workers wait for
  std::atomic<bool> stop_{false};
  std::atomic<bool> failed_{false};  // a task of the running job has thrown
  std::exception_ptr error_;         // what, written by whoever set failed_
  std::vector<std::thread> workers_;
};

}  // namespace cliptag
