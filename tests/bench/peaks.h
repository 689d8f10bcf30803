// What this machine can do at most, measured: multiply-adds by each kind of instruction that the
// CPU has, and reads from memory and from the second-level cache. All of one thread by its own CPU
// time, memory also of all threads together.
//
// Thread safety: pure functions, one measurement at a time.
#pragma once

#include <string>
#include <vector>

namespace cliptag::bench {

struct Limits {
  double fp32_gflops = 0;  // of one thread; 0: the CPU has no such instruction
  double bf16_gflops = 0;
  double int8_gops = 0;
  double memory_gb_s = 0;        // of one thread
  double all_memory_gb_s = 0;    // of `threads` at once
  double l2_gb_s = 0;            // of one thread
  std::string fp32, bf16, int8;  // the instructions
};

// `seconds` for each number; `small`: of little memory, to see whether it runs.
Limits MeasureLimits(int threads, double seconds, bool small);

size_t LastLevelCacheBytes();    // 32 MB where the system does not tell
size_t SecondLevelCacheBytes();  // 1 MB

// One kind of multiply-add that this CPU has (peaks_x86.cc, peaks_generic.cc).
struct PeakLoop {
  std::string name;
  double operations = 0;  // of a round; multiply and add are two
  void (*run)(long rounds) = nullptr;
};
struct PeakLoops {
  PeakLoop fp32, bf16, int8;  // without `run`: there is none
};
PeakLoops AvailablePeakLoops();
// Reads every byte, which begin on a multiple of 64, as a number that depends on all of them.
unsigned long ReadAll(const char* bytes, size_t count);

}  // namespace cliptag::bench
