// What goes on beside the streams that count in `cliptag bench --streams N --hostile`: a stream
// that seeks ten times a second, and one whose prompts change a hundred times a second. (The other
// two, a sink that is stuck and frames that are broken, are the streams' own doing.)
//
// Ownership: borrows the streams, which must not stop before this is destroyed. Thread safety: has
// a thread per stream that it disturbs; the counts may be read from any.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

#include "plugin/cli/bench/stream.h"

namespace cliptag {

// In the order of the last streams.
inline constexpr Hostility kHostilities[] = {Hostility::kStuckSink, Hostility::kSeeks,
                                             Hostility::kChangesPrompts, Hostility::kBrokenFrames};

class Disturbances {
 public:
  explicit Disturbances(std::span<const std::unique_ptr<BenchStream>> streams);
  ~Disturbances();  // waits for what is being done
  Disturbances(const Disturbances&) = delete;
  Disturbances& operator=(const Disturbances&) = delete;

  uint64_t seeks() const { return seeks_; }
  uint64_t prompt_changes() const { return prompt_changes_; }

 private:
  void Every(std::chrono::milliseconds period, std::function<void()> action);

  std::atomic<uint64_t> seeks_{0}, prompt_changes_{0};
  std::mutex mutex_;
  std::condition_variable stop_;
  bool stopping_ = false;  // guarded by mutex_
  std::vector<std::thread> threads_;
};

}  // namespace cliptag
