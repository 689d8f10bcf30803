#include "plugin/cli/measure.h"

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

TEST(ResidentMb, SeesMemoryThatIsTouched) {
  const double before = ResidentMb();
  ASSERT_GT(before, 1);
  std::vector<char> touched(size_t{64} << 20, 1);
  EXPECT_GT(ResidentMb() + touched[0], before + 50);
}

}  // namespace
}  // namespace cliptag
