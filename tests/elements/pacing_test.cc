// Which frames are inferred, and how fast that goes, without an element.
#include <gst/gst.h>

#include "plugin/elements/cliptag/input/inference_pacer.h"
#include "plugin/elements/cliptag/output/rate_meter.h"
#include "tests/elements/gst_test.h"

namespace cliptag::test {
namespace {

constexpr guint64 kFrame = 40 * GST_MSECOND;

class PacerTest : public ::testing::Test {
 protected:
  bool Take(guint64 n) {
    return pacer_.Take(settings_, heed_qos_, {n * kFrame, n * kFrame, kFrame});
  }
  int Taken(guint64 first, guint64 end) {
    int taken = 0;
    for (guint64 n = first; n < end; ++n) taken += Take(n) ? 1 : 0;
    return taken;
  }
  void Late(guint64 running_time, GstClockTimeDiff by) {
    GstEvent* event = gst_event_new_qos(GST_QOS_TYPE_UNDERFLOW, 1, by, running_time);
    pacer_.OnQos(event);
    gst_event_unref(event);
  }

  FrameSettings settings_;
  bool heed_qos_ = true;
  InferencePacer pacer_;
};

TEST_F(PacerTest, EveryNthFrameFromAFlushOn) {
  settings_.interval = 3;
  EXPECT_TRUE(Take(0));
  EXPECT_EQ(Taken(1, 3), 0);
  EXPECT_TRUE(Take(3));
  pacer_.OnFlush();
  EXPECT_TRUE(Take(4));
}

TEST_F(PacerTest, NoMoreASecondThanMaxRate) {
  settings_.max_rate = {5, 1};
  EXPECT_EQ(Taken(0, 100), 20);
  settings_.interval = 2;
  settings_.max_rate = {};
  EXPECT_EQ(Taken(100, 200), 50);
}

TEST_F(PacerTest, OneASecondWhileDownstreamIsLate) {
  EXPECT_TRUE(Take(0));
  Late(kFrame, 2 * GST_SECOND);
  EXPECT_EQ(Taken(1, 101), 4);  // late until 4.04 s
  EXPECT_EQ(pacer_.skipped_late(), 96u);
  EXPECT_EQ(Taken(101, 111), 10);
  Late(111 * kFrame, 2 * GST_SECOND);
  heed_qos_ = false;
  EXPECT_EQ(Taken(111, 121), 10);
  heed_qos_ = true;
  Late(120 * kFrame, -1);
  EXPECT_EQ(Taken(121, 131), 10) << "it is in time again";
  Late(131 * kFrame, 2 * GST_SECOND);
  pacer_.OnSegment();
  EXPECT_EQ(Taken(131, 141), 10) << "of another segment";
}

TEST(RateMeterTest, SaysOnceThatTheMachineIsTooSlow) {
  RateMeter meter;
  int reports = 0;
  gint64 now = 1;
  const auto seconds = [&](int count, int due, int inferred) {
    for (int s = 0; s < count; ++s, now += G_USEC_PER_SEC) {
      for (int i = 0; i < due; ++i) meter.Due();
      for (int i = 0; i < inferred; ++i) meter.Inferred();
      reports += meter.Measure(now) ? 1 : 0;
    }
  };
  seconds(6, 10, 10);
  EXPECT_DOUBLE_EQ(meter.rate(), 10);
  EXPECT_FALSE(meter.too_slow());
  seconds(2, 10, 2);
  EXPECT_FALSE(meter.too_slow()) << "one window may be an accident";
  seconds(4, 10, 2);
  EXPECT_TRUE(meter.too_slow());
  EXPECT_DOUBLE_EQ(meter.rate(), 2);
  EXPECT_DOUBLE_EQ(meter.due_per_s(), 10);
  seconds(4, 10, 10);
  EXPECT_FALSE(meter.too_slow());
  seconds(8, 10, 2);
  EXPECT_TRUE(meter.too_slow());
  EXPECT_EQ(reports, 1);
  meter.Clear();
  EXPECT_FALSE(meter.too_slow());
}

}  // namespace
}  // namespace cliptag::test
