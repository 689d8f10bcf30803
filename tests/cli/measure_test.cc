#include "plugin/cli/bench/measure.h"

#include <gtest/gtest.h>

namespace cliptag {
namespace {

TEST(Timing, QuantilesAreNearestRanks) {
  Timing timing;
  for (int i = 100; i >= 1; --i) timing.call_ms.push_back(i);
  EXPECT_EQ(timing.median_ms(), 50);
  EXPECT_EQ(timing.p99_ms(), 99);
  timing.call_ms = {7};
  EXPECT_EQ(timing.median_ms(), 7);
  EXPECT_EQ(timing.p99_ms(), 7);
}

TEST(Measure, WarmsUpThenCallsThreeTimesAtLeast) {
  std::vector<int64_t> calls;
  const auto timing = Measure(
      [&](int64_t i) {
        calls.push_back(i);
        return Status();
      },
      0);
  ASSERT_TRUE(timing.ok());
  EXPECT_EQ(timing->call_ms.size(), 3u);
  EXPECT_EQ(calls, (std::vector<int64_t>{0, 1, 2, 3, 4}));
}

TEST(Measure, HandsAnErrorOn) {
  for (int64_t bad : {0, 4}) {
    const auto timing =
        Measure([bad](int64_t i) { return i == bad ? Internal("bad") : Status(); }, 0);
    ASSERT_FALSE(timing.ok());
    EXPECT_EQ(timing.status().message(), "bad");
  }
}

TEST(DurationCounts, QuantilesAreWithinAPercent) {
  DurationCounts counts;
  EXPECT_EQ(counts.size(), 0u);
  EXPECT_EQ(counts.QuantileMs(0.5), 0);
  for (uint64_t ms = 1; ms <= 1000; ++ms) counts.Add(ms * 1'000'000);
  EXPECT_EQ(counts.size(), 1000u);
  EXPECT_NEAR(counts.QuantileMs(0.5), 500, 5);
  EXPECT_NEAR(counts.QuantileMs(0.99), 990, 10);
  EXPECT_NEAR(counts.QuantileMs(1), 1000, 10);
}

TEST(DurationCounts, HoldsTheShortestAndTheLongest) {
  for (const uint64_t ns : {uint64_t{0}, uint64_t{1}, uint64_t{127}, uint64_t{128}, uint64_t{255},
                            uint64_t{256}, uint64_t{257}, uint64_t{1} << 40, ~uint64_t{0}}) {
    DurationCounts counts;
    counts.Add(ns);
    EXPECT_EQ(counts.size(), 1u);
    EXPECT_NEAR(counts.QuantileMs(0.5) * 1e6, static_cast<double>(ns),
                static_cast<double>(ns) / 100);
  }
}

TEST(DurationCounts, MergesCounts) {
  DurationCounts a, b;
  a.Add(1000);
  b.Add(5'000'000);
  b.Add(5'000'000);
  a.Merge(b);
  EXPECT_EQ(a.size(), 3u);
  EXPECT_NEAR(a.QuantileMs(0.5), 5, 0.05);
}

TEST(CpuSeconds, GrowsWithWork) {
  const double before = CpuSeconds();
  volatile double x = 1;
  for (const double end = NowMs() + 50; NowMs() < end;) x = x * 1.0000001;
  EXPECT_GT(CpuSeconds(), before);
}

TEST(ResidentMb, SeesMemoryThatIsTouched) {
  const double before = ResidentMb();
  ASSERT_GT(before, 1);
  std::vector<char> touched(size_t{64} << 20, 1);
  EXPECT_GT(ResidentMb() + touched[0], before + 50);
}

}  // namespace
}  // namespace cliptag
