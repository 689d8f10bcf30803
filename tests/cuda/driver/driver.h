// The part of the CUDA driver's interface that GStreamer's CUDA library calls, over the stand-in
// for the CUDA runtime: contexts, streams, events, memory and copies. Built as libcuda.so.1, it is
// what libgstcuda opens in place of NVIDIA's. It holds the stand-in's runtime, too, so that the
// memory of GStreamer and of a backend module that links it is the same.
//
// Stricter than NVIDIA's: whatever takes memory, a stream or an event needs a current context; a
// stream and an event are used in the context that they were made in alone.
//
// Ownership and threads: as CUDA has them; every thread has a stack of current contexts.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace cliptag::standin {

struct DriverCounters {
  int64_t contexts = 0;  // alive
  int64_t contexts_made = 0;
  int64_t current = 0;  // contexts on the calling thread's stack
};
DriverCounters GetDriverCounters();

// Misuse since the last call, a sentence each.
std::vector<std::string> TakeDriverProblems();

}  // namespace cliptag::standin
