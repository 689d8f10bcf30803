#include "tests/bench/peaks.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <memory>
#include <thread>

#include "tests/bench/bench.h"

namespace cliptag::bench {
namespace {

// Keeps what is read from being left out.
volatile unsigned long sink = 0;

struct FreeMemory {
  void operator()(char* p) const { std::free(p); }
};
using Block = std::unique_ptr<char, FreeMemory>;

Block NewBlock(size_t bytes) {
  Block block(static_cast<char*>(std::aligned_alloc(64, bytes)));
  std::fill_n(block.get(), bytes, '\1');
  return block;
}

// Operations a second of one thread, by its CPU time.
double Peak(const PeakLoop& loop, double seconds) {
  if (loop.run == nullptr) return 0;
  constexpr long kRounds = 20'000;
  const Timing t = Measure(seconds, 1, [&](int) {
    loop.run(kRounds);
    return Status();
  });
  return loop.operations * kRounds / t.cpu * 1e-9;
}

double ReadRate(size_t bytes, double seconds) {
  const Block block = NewBlock(bytes);
  const Timing t = Measure(seconds, 1, [&](int) {
    sink = sink + ReadAll(block.get(), bytes);
    return Status();
  });
  return static_cast<double>(bytes) / t.cpu * 1e-9;
}

double SharedReadRate(int threads, size_t bytes, double seconds) {
  std::vector<Block> blocks;
  for (int i = 0; i < threads; ++i) blocks.push_back(NewBlock(bytes));
  const Timing t = Measure(seconds, 1, [&](int) {
    std::vector<std::thread> readers;
    std::vector<unsigned long> sums(static_cast<size_t>(threads));
    for (int i = 0; i < threads; ++i) {
      readers.emplace_back([&, i] { sums[i] = ReadAll(blocks[i].get(), bytes); });
    }
    for (std::thread& reader : readers) reader.join();
    for (const unsigned long sum : sums) sink = sink + sum;
    return Status();
  });
  return static_cast<double>(bytes) * threads / t.best * 1e-9;
}

size_t Cache(int name, size_t otherwise) {
  const long bytes = sysconf(name);
  return bytes > 0 ? static_cast<size_t>(bytes) : otherwise;
}

}  // namespace

size_t LastLevelCacheBytes() {
  return std::max(Cache(_SC_LEVEL3_CACHE_SIZE, 32u << 20), SecondLevelCacheBytes());
}
size_t SecondLevelCacheBytes() { return Cache(_SC_LEVEL2_CACHE_SIZE, 1u << 20); }

Limits MeasureLimits(int threads, double seconds, bool small) {
  Limits limits;
  const PeakLoops loops = AvailablePeakLoops();
  limits.fp32_gflops = Peak(loops.fp32, seconds);
  limits.bf16_gflops = Peak(loops.bf16, seconds);
  limits.int8_gops = Peak(loops.int8, seconds);
  limits.fp32 = loops.fp32.name;
  limits.bf16 = loops.bf16.name;
  limits.int8 = loops.int8.name;
  const size_t far =
      small ? 1u << 20 : std::clamp<size_t>(4 * LastLevelCacheBytes(), 64u << 20, 1u << 30);
  limits.memory_gb_s = ReadRate(far, seconds);
  limits.all_memory_gb_s = std::max(limits.memory_gb_s, SharedReadRate(threads, far / 2, seconds));
  limits.l2_gb_s = ReadRate(SecondLevelCacheBytes() / 2 / 64 * 64, seconds);
  return limits;
}

}  // namespace cliptag::bench
