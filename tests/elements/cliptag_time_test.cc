// What counts as time: over segments, without timestamps, backwards, at rates and with jitter.
#include <array>
#include <random>

#include "plugin/elements/cliptag/input/stream_clock.h"
#include "plugin/gst/rate_schedule.h"
#include "tests/elements/cliptag_fixture.h"

namespace cliptag::test {
namespace {

constexpr guint64 kNone = GST_CLOCK_TIME_NONE;

TEST(StreamClock, FollowsRunningTimeAndNeverGoesBack) {
  StreamClock clock;
  EXPECT_EQ(clock.Next(100, 40), 100u);
  EXPECT_EQ(clock.Next(150, 40), 150u);
  EXPECT_EQ(clock.Next(130, 40), 190u) << "out of turn: it lasts, too";
  EXPECT_EQ(clock.Next(190, 40), 190u) << "and the next makes up for it";
  EXPECT_EQ(clock.Next(1045, 40), 1045u);
  EXPECT_EQ(clock.Next(5, 40), 1085u) << "timestamps that begin anew: a frame has passed";
  EXPECT_EQ(clock.Next(45, 40), 1125u);
  EXPECT_EQ(clock.Next(1045, 40), 2125u);
  clock.Reset();
  EXPECT_EQ(clock.Next(7, 40), 7u);
}

TEST(StreamClock, FramesWithoutATimeLastAsLongAsTheySay) {
  StreamClock clock;
  EXPECT_EQ(clock.Next(kNone, 40), 0u);
  EXPECT_EQ(clock.Next(kNone, 40), 40u);
  EXPECT_EQ(clock.Next(1000, 40), 80u) << "from here on it is known";
  EXPECT_EQ(clock.Next(kNone, 40), 120u);
  EXPECT_EQ(clock.Next(1080, 40), 160u) << "the one between was counted";
}

TEST(StreamClock, GoesOnWhateverOrderTimesComeIn) {
  StreamClock stuck, falling, shuffled, twice;
  guint64 in_order = 0;
  for (guint64 n = 0; n < 400; ++n) {
    EXPECT_EQ(stuck.Next(1000, 40), 1000 + 40 * n) << "all of one time";
    EXPECT_EQ(falling.Next(40 * (500 - n), 40), 40 * (500 + n)) << "backwards";
    // As B pictures that nobody has put in order.
    const guint64 time = shuffled.Next(40 * (n / 4 * 4 + std::array{0, 3, 1, 2}[n % 4]), 40);
    EXPECT_GE(time, in_order);
    EXPECT_LE(time, 40 * (n + 3));
    in_order = time;
    EXPECT_LE(twice.Next(n / 2 * 40, 40), 40 * (n / 2 + 1)) << "each time twice";
  }
}

// How many of so many seconds of pictures are taken; each up to `jitter_ms` early or late.
size_t Taken(double camera_fps, gint rate_n, gint rate_d, double seconds, int jitter_ms,
             unsigned seed = 1) {
  RateSchedule schedule;
  std::mt19937 random(seed);
  std::uniform_int_distribution<int> off(-jitter_ms * 1000, jitter_ms * 1000);
  size_t taken = 0;
  for (int n = 0; n < seconds * camera_fps; ++n) {
    const double ns = 1e9 + n * 1e9 / camera_fps + off(random) * 1e3;
    const auto nominal = static_cast<guint64>(1e9 / camera_fps);
    if (schedule.TakeIfDue(static_cast<guint64>(ns), Rate{rate_n, rate_d}.period(), nominal))
      ++taken;
  }
  return taken;
}

TEST(RateSchedule, AtTheCamerasOwnRateJitterLosesNothing) {
  for (unsigned seed = 1; seed <= 20; ++seed) {
    for (const int jitter_ms : {2, 5, 10, 18}) {
      EXPECT_EQ(Taken(25, 25, 1, 40, jitter_ms, seed), 1000u) << jitter_ms << " " << seed;
      EXPECT_EQ(Taken(30000.0 / 1001, 30, 1, 40, std::min(jitter_ms, 15), seed), 1199u);
    }
  }
}

TEST(RateSchedule, AtLowerRatesNeitherMoreNorLess) {
  for (const int jitter_ms : {0, 5, 10}) {
    for (const double fps : {24.0, 25.0, 29.97, 50.0, 60.0}) {
      for (const gint rate : {1, 2, 5, 10, 15, 20}) {
        const size_t taken = Taken(fps, rate, 1, 60, jitter_ms);
        EXPECT_LE(taken, 60u * rate + 1) << fps << " at " << rate;
        EXPECT_GE(taken + 1, 60u * rate) << fps << " at " << rate;
      }
    }
  }
  EXPECT_EQ(Taken(25, 1, 4, 12, 0), 3u);
  EXPECT_LE(Taken(26, 25, 1, 60, 0), 60u * 25 + 2);
  EXPECT_EQ(Taken(5, 10, 1, 60, 0), 300u) << "what comes seldom is taken whole";
}

// Which of these times are taken at a frame a second.
std::vector<size_t> TakenOf(const std::vector<guint64>& times, guint64 likely_distance = 0) {
  RateSchedule schedule;
  std::vector<size_t> taken;
  for (size_t i = 0; i < times.size(); ++i) {
    if (schedule.TakeIfDue(times[i], Rate{1, 1}.period(), likely_distance)) taken.push_back(i);
  }
  return taken;
}

TEST(RateSchedule, ANanosecondEarlyIsOnTime) {
  constexpr guint64 s = GST_SECOND;
  using Frames = std::vector<size_t>;
  for (const guint64 likely : {guint64{0}, s / 4, s}) {
    EXPECT_EQ(TakenOf({0, s - 1, 2 * s - 2, 3 * s - 3}, likely), (Frames{0, 1, 2, 3})) << likely;
  }
  // At 4 frames a second, each 1 ns early.
  std::vector<guint64> times = {0};
  for (guint64 n = 1; n < 13; ++n) times.push_back(n * s / 4 - 1);
  EXPECT_EQ(TakenOf(times), (Frames{0, 4, 8, 12}));
}

TEST(RateSchedule, StartsAnewAfterAJump) {
  constexpr guint64 s = GST_SECOND;
  using Frames = std::vector<size_t>;
  EXPECT_EQ(TakenOf({0, s / 2, s, 100 * s, 100 * s + s / 2, 101 * s}), (Frames{0, 2, 3, 5}));
  EXPECT_EQ(TakenOf({100 * s, 100 * s + s / 2, 0, s / 2, s}), (Frames{0, 2, 4}));
  EXPECT_EQ(TakenOf({0, kNone, s / 2, kNone}), (Frames{0, 1, 3})) << "without a time: always";
}

TEST(RateSchedule, AnyRateIsInRange) {
  RateSchedule schedule;
  EXPECT_EQ(Rate().period(), 0u);
  EXPECT_TRUE(schedule.TakeIfDue(0, Rate{1, G_MAXINT}.period()));
  EXPECT_FALSE(schedule.TakeIfDue(3600 * GST_SECOND, G_MAXUINT64));
  EXPECT_TRUE(schedule.TakeIfDue(3601 * GST_SECOND, Rate{G_MAXINT, 1}.period()));
  EXPECT_TRUE(schedule.TakeIfDue(3601 * GST_SECOND + 1, Rate{G_MAXINT, 1}.period())) << "no limit";
}

class TimeTest : public ClipTagTest {
 protected:
  void Segment(guint64 base, double rate = 1, guint64 start = 0, guint64 stop = kNone) {
    GstSegment segment;
    gst_segment_init(&segment, GST_FORMAT_TIME);
    segment.base = base;
    segment.rate = rate;
    segment.start = segment.time = start;
    segment.stop = stop;
    ASSERT_TRUE(gst_harness_push_event(harness_, gst_event_new_segment(&segment)));
  }

  // Clips of so many frames one behind the other, as concat makes them.
  void PlayClips(int clips, int frames) {
    PlayAndWait();
    for (int clip = 0; clip < clips; ++clip) {
      Segment(static_cast<guint64>(clip * frames) * kFrame);
      for (int n = 0; n < frames; ++n) Through(static_cast<guint64>(n));
    }
  }

  std::vector<guint64> Times() {
    std::vector<guint64> times;
    for (const FakeControl::Seen& seen : Fake().seen()) times.push_back(seen.at.time_ns);
    return times;
  }
};

TEST_F(TimeTest, MaxRateGoesOnOverSegments) {
  Set("max-rate", "1/4");
  PlayClips(12, 25);
  EXPECT_EQ(Times(), (std::vector<guint64>{0, 4 * GST_SECOND, 8 * GST_SECOND}));
}

TEST_F(TimeTest, IntervalGoesOnOverSegments) {
  Set("interval", "30");
  PlayClips(4, 20);
  EXPECT_EQ(Times(), (std::vector<guint64>{0, 30 * kFrame, 60 * kFrame}));
  guint64 frame = 99;
  gst_harness_push_event(harness_, gst_event_new_eos());
  const auto told = PopElementMessages(bus_, "cliptag");
  ASSERT_EQ(told.size(), 3u);
  gst_structure_get_uint64(gst_message_get_structure(told[1].get()), "frame", &frame);
  EXPECT_EQ(frame, 10u) << "counted since the segment's start";
}

TEST_F(TimeTest, InLiveModeTheTagsStayOverSegments) {
  Set("mode", "live");
  Set("max-rate", "1/4");
  PlayAndWait();
  Through(0);
  ASSERT_TRUE(WaitFor([] { return Fake().answered() == 1; }));
  Segment(10 * kFrame);
  const BufferHolder out = Through(2);
  ASSERT_NE(MetaOf(out.get()), nullptr);
  guint64 age = 0;
  gst_structure_get_uint64(MetaOf(out.get()), "age", &age);
  EXPECT_EQ(age, 12 * kFrame);
}

TEST_F(TimeTest, DurationsAreOfRunningTimeAndPtsAreTheFramesOwn) {
  Fake().SetScore([](const std::string& label, uint64_t) { return label == "dog" ? 0.9 : 0.1; });
  PlayClips(3, 20);
  ASSERT_TRUE(gst_harness_push_event(harness_, gst_event_new_eos()));
  std::vector<MessagePtr> events;
  ASSERT_TRUE(WaitFor([&] {
    for (MessagePtr& event : PopElementMessages(bus_, "cliptag-event"))
      events.push_back(std::move(event));
    return events.size() == 2;
  }));
  guint64 pts = 0, duration = 0;
  ASSERT_TRUE(gst_structure_get(gst_message_get_structure(events[1].get()), "pts", G_TYPE_UINT64,
                                &pts, "duration", G_TYPE_UINT64, &duration, nullptr));
  EXPECT_EQ(pts, 19 * kFrame);
  EXPECT_EQ(duration, 59 * kFrame);
}

TEST_F(TimeTest, GoesOnWhereTimestampsJumpBackWithinASegment) {
  PlayAndWait();
  for (const guint64 n : {100, 101, 102, 0, 1, 2}) Through(n);
  const std::vector<guint64> times = Times();
  ASSERT_EQ(times.size(), 6u);
  for (size_t i = 1; i < times.size(); ++i) EXPECT_EQ(times[i] - times[i - 1], kFrame) << i;
  EXPECT_EQ(Fake().seen()[3].at.pts_ns, 0u);
}

TEST_F(TimeTest, GoesForwardWhilePlayingBackwards) {
  PlayAndWait();
  Segment(0, -1, 0, 10 * kFrame);
  for (const guint64 n : {9, 8, 7, 6}) Through(n);
  EXPECT_EQ(Times(), (std::vector<guint64>{kFrame, 2 * kFrame, 3 * kFrame, 4 * kFrame}));
  EXPECT_EQ(Fake().seen()[3].at.pts_ns, 6 * kFrame);
}

TEST_F(TimeTest, MaxRateHoldsWithoutTimestamps) {
  Set("max-rate", "10/1");
  PlayAndWait();
  for (guint64 n = 0; n < 50; ++n) {
    ASSERT_EQ(gst_harness_push(harness_, MakeFrame(n, 16 * 8, kNone)), GST_FLOW_OK);
    Pull();
  }
  EXPECT_EQ(Fake().seen().size(), 20u);
}

TEST_F(TimeTest, AtTheCamerasOwnRateEveryFrameIsLookedAt) {
  Set("max-rate", "25/1");
  PlayAndWait();
  for (guint64 n = 0; n < 100; ++n) {
    const guint64 late = n * 7 % 11 * 3 * GST_MSECOND;
    ASSERT_EQ(gst_harness_push(harness_, MakeFrame(n, 16 * 8, n * kFrame + late)), GST_FLOW_OK);
    Pull();
  }
  EXPECT_EQ(Fake().seen().size(), 100u);
}

}  // namespace
}  // namespace cliptag::test
