// Peak loops of a CPU that nothing is known about: what the compiler makes of multiplying and
// adding.
#include "tests/bench/peaks.h"

namespace cliptag::bench {
namespace {

void FmaPlain(long rounds) {
  constexpr int kNumbers = 64;
  float sums[kNumbers] = {};
  for (long r = 0; r < rounds; ++r) {
    for (int i = 0; i < kNumbers; ++i) sums[i] = sums[i] * 0.5f + 1.0f;
  }
  float total = 0;
  for (const float sum : sums) total += sum;
  volatile float sink = total;
  (void)sink;
}

}  // namespace

PeakLoops AvailablePeakLoops() { return {{"plain C++", 128, &FmaPlain}, {}, {}}; }

unsigned long ReadAll(const char* bytes, size_t count) {
  const auto* numbers = reinterpret_cast<const unsigned long*>(bytes);
  unsigned long sum = 0;
  for (size_t i = 0; i < count / sizeof(long); ++i) sum += numbers[i];
  return sum;
}

}  // namespace cliptag::bench
