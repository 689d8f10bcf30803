// What the emulated device.cuh and the launcher share: the state of a CUDA thread, its warp and its
// block, and the calls that need more than one thread.
//
// Ownership: the launcher owns all of it for the time of a block. Threads: each CUDA thread touches
// its own ThreadState; whatever a warp or block shares is guarded by its Gate.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <source_location>
#include <string>
#include <vector>

#include "tests/cuda/emulation/emulation.h"
#include "tests/cuda/emulation/scheduler.h"

namespace cliptag::emulation {

using Site = std::source_location;
inline constexpr int kLanes = 32;

// Where a thread sleeps, for reports. Relaxed atomics: the thread that detects a deadlock reads it.
struct Whereabouts {
  std::atomic<const char*> call{nullptr};  // null: not asleep
  std::atomic<const char*> file{nullptr};
  std::atomic<unsigned> line{0};
  std::atomic<bool> finished{false};
};

// A rendezvous of a fixed number of threads that must all make the same call.
struct Meeting {
  Gate gate;
  int arrived = 0;
  const char* call = nullptr;
  Site site;
  void* lanes[kLanes] = {};  // warps only: what each lane brought
};

struct AsyncCopy {
  unsigned char* to = nullptr;
  int bytes = 0;
  unsigned char data[16] = {};
};
using AsyncGroup = std::vector<AsyncCopy>;

struct Block;

struct ThreadState {
  Dim3 thread_index{0, 0, 0};
  int lane = 0;
  Block* block = nullptr;
  Meeting* warp = nullptr;
  Whereabouts whereabouts;
  AsyncGroup open_group;                    // cp.async since the last commit
  std::deque<AsyncGroup> committed_groups;  // oldest first
  // Counted here and summed up when the block is over.
  uint64_t barriers = 0, products = 0, loads = 0, conflicts = 0, copies = 0;
};

struct Block {
  explicit Block(const LaunchConfig& config);
  void Reset(Dim3 index);

  Dim3 block_index, block_dim, grid_dim;
  size_t dynamic_bytes = 0;
  GuardedBytes shared;  // dynamic, then static
  std::mutex mutex;     // of the two below
  std::map<const void*, size_t> static_offsets;
  std::string error;
  size_t static_used = 0;
  Meeting meeting;  // __syncthreads
  std::vector<std::unique_ptr<Meeting>> warps;
  std::vector<std::unique_ptr<ThreadState>> threads;
};

inline ThreadState& CurrentThread() { return *static_cast<ThreadState*>(thread_context); }

// Fails the launch with this sentence and ends the calling thread.
[[noreturn]] void Fail(const std::string& message);
std::string ToString(const Site& site);  // "attention.cuh:120"

// __syncthreads().
void BlockBarrier(const Site& site);

// All lanes of a warp meet; the last to come runs apply(lanes), where lanes[i] is what lane i
// brought.
void MeetWarp(const char* call, const Site& site, void* mine,
              const std::function<void(void* const (&lanes)[kLanes])>& apply);

// A block's static array of that identity, poisoned at the block's start.
void* StaticShared(const void* identity, size_t bytes);

// Fails unless p is a multiple of `alignment` (and, for shared memory, inside it).
void CheckAligned(const char* call, const void* p, size_t alignment, const Site& site);
void CheckShared(const char* call, const void* p, size_t bytes, const Site& site);

void StartAsyncCopy(void* shared, const void* global, int bytes, int valid, const Site& site);
void CommitAsyncCopies();
void LandAsyncCopies(size_t pending);

}  // namespace cliptag::emulation
