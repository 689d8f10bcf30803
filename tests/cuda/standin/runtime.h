// The state behind the stand-in's CUDA runtime and the way every call takes through it. Internal:
// tests use control.h, launches launch.h.
//
// Ownership: one for the life of the process; Reset() empties it. Threads: everything is guarded by
// `mutex`, which is held while queued work runs.
#pragma once

#include <cuda_runtime_api.h>

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <vector>

#include "tests/cuda/standin/control.h"
#include "tests/cuda/standin/memory.h"
#include "tests/cuda/standin/queue.h"

namespace cliptag::standin {

// What a call may be refused for.
enum CallFlags : unsigned {
  kPlain = 0,
  kUnsafe = 1,         // not while a capture goes on
  kRelease = 2,        // does its work on a device with a sticky error as well
  kWithoutDevice = 4,  // needs neither device nor driver
};

class Runtime {
 public:
  static Runtime& Get();

  std::mutex mutex;
  Settings settings;
  Counters counters;
  uint64_t clock_us = 0;  // the device's, which work moves on (Settings::algorithm_us)
  DeviceMemory memory;
  PinnedMemory pinned;
  Handles<CUstream_st, Stream> streams{1};
  Handles<CUevent_st, Event> events{2};
  Handles<CUgraph_st, Graph> graphs{3};
  Handles<CUgraphExec_st, GraphExec> execs{4};
  std::vector<std::shared_ptr<Capture>> captures;  // going on
  std::vector<std::string> problems;
  size_t library_objects = 0;

  struct Failure {
    int nth;
    int error;
  };
  std::map<std::string, std::vector<Failure>> failures;
  std::map<std::string, uint64_t> calls;

  // Of the calling thread.
  int& device();
  cudaError_t& last_error();

  // Whether the call is to fail, as FailCall() has it: that error, or 0.
  int CountCall(const char* function);
  // What every call fails with in this state, or cudaSuccess.
  cudaError_t Check(unsigned flags);
  // Keeps a sentence for TakeProblems() and hands on the error.
  cudaError_t Misuse(const char* function, const std::string& text, cudaError_t error);

  // Null for a handle that is none; the legacy stream of the current device for 0.
  std::shared_ptr<Stream> FindStream(cudaStream_t handle);
  std::shared_ptr<Stream> LegacyStream();
  std::shared_ptr<Stream> NewStream(bool blocking);

  // Appends work to the stream, or a node to its capture.
  cudaError_t Enqueue(const std::shared_ptr<Stream>& stream, OperationPtr operation);
  cudaError_t EnqueueWait(const std::shared_ptr<Stream>& stream, const Position& position);
  // Ends a capture because of a call that it cannot hold.
  cudaError_t Invalidate(Capture& capture, cudaError_t error);
  cudaError_t InvalidateAllUnsafe();

  // The following run queued work and return the sticky error.
  cudaError_t RunUntil(const Position& position);
  cudaError_t RunAll();
  cudaError_t RunOne(const std::shared_ptr<Stream>& stream);
  // Runs one operation now: used by queues and by graphs for their nodes.
  void Execute(const Operation& operation);
  uint64_t epoch() const { return epoch_; }
  cudaError_t sticky() const { return sticky_; }
  void SetSticky(cudaError_t error, const std::string& text);
  const std::string& sticky_text() const { return sticky_text_; }
  // Any number below n; the same for a seed.
  size_t Random(size_t n) { return random_() % n; }
  void SetOrder(uint32_t order) {
    settings.order = order;
    random_.seed(order);
  }

  std::vector<std::string> Reset(const Settings& new_settings);
  std::vector<std::shared_ptr<Stream>>& all_streams() { return all_streams_; }

 private:
  Runtime();

  bool CaptureForbidsUnsafe(const Capture& capture) const;
  std::shared_ptr<Stream> Awkward(const std::shared_ptr<Stream>& wanted);
  static std::shared_ptr<Stream> Runnable(std::shared_ptr<Stream> stream);
  void RunFront(Stream& stream);
  void DropQueues();

  std::vector<std::shared_ptr<Stream>> all_streams_;  // with work, or alive
  std::map<int, std::shared_ptr<Stream>> legacy_;
  cudaError_t sticky_ = cudaSuccess;
  std::string sticky_text_;
  std::minstd_rand random_;
  uint64_t epoch_ = 1;  // Reset() makes what threads remember stale
};

// The way of every runtime call: locks, counts, checks, remembers the error.
template <typename Body>
cudaError_t Call(const char* function, unsigned flags, Body body) {
  Runtime& runtime = Runtime::Get();
  const std::lock_guard lock(runtime.mutex);
  auto error = static_cast<cudaError_t>(runtime.CountCall(function));
  if (error == cudaSuccess) {
    error = runtime.Check(flags);
    const bool run = error == cudaSuccess || (flags & kRelease && error == runtime.sticky());
    const cudaError_t result = run ? body(runtime) : error;
    if (error == cudaSuccess) error = result;
  }
  if (error != cudaSuccess) runtime.last_error() = error;
  return error;
}

}  // namespace cliptag::standin
