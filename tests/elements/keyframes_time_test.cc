// `cliptagkeyframes` in a harness: times, gaps, discontinuities, segments and the rate.
#include "tests/elements/keyframes_fixture.h"

namespace cliptag::test {
namespace {

TEST_F(KeyframesTest, TimesOfReorderedKeyframesStay) {
  SetCaps(kByteStream);
  PushKey(0);
  PushDelta(1);
  GstBuffer* key = MakeBuffer(AnnexB({h264::Idr()}), 12 * kFrame, false, 10 * kFrame, 7);
  ASSERT_EQ(gst_harness_push(harness_, key), GST_FLOW_OK);
  TryPull();
  const BufferHolder out = TryPull();
  ASSERT_NE(out, nullptr);
  EXPECT_EQ(GST_BUFFER_PTS(out.get()), 12 * kFrame);
  EXPECT_EQ(GST_BUFFER_DTS(out.get()), 10 * kFrame);
  EXPECT_EQ(GST_BUFFER_DURATION(out.get()), 7u);
}

// Of a bare stream only the parser knows where a keyframe is: a decoder counts what it gets.
TEST_F(KeyframesTest, KeyframesOfABareStreamAreShownWhenTheyAreDecoded) {
  SetCaps(kByteStream);
  for (guint64 frame = 0; frame < 25; ++frame) {
    const Bytes bytes = frame % 10 == 0 ? AnnexB({h264::Idr()}) : AnnexB({h264::P()});
    GstBuffer* buffer = MakeBuffer(bytes, GST_CLOCK_TIME_NONE, false, frame * kFrame);
    ASSERT_EQ(gst_harness_push(harness_, buffer), GST_FLOW_OK);
  }
  EXPECT_EQ(FramesOut(), (std::vector<guint64>{0, 10, 20}));
}

TEST_F(KeyframesTest, DiscontExactlyAfterWhatWasDropped) {
  SetCaps(kByteStream);
  for (const guint64 frame : {0, 1}) PushKey(frame);
  PushDelta(2);
  for (const guint64 frame : {3, 4}) PushKey(frame);
  std::vector<bool> discont;
  while (const BufferHolder out = TryPull()) {
    discont.push_back(GST_BUFFER_FLAG_IS_SET(out.get(), GST_BUFFER_FLAG_DISCONT));
  }
  ASSERT_EQ(discont.size(), 4u);
  EXPECT_FALSE(discont[1]);
  EXPECT_TRUE(discont[2]);
  EXPECT_FALSE(discont[3]);
}

TEST_F(KeyframesTest, GapsFollowAtOnceAndLeaveNothingOut) {
  SetCaps(kByteStream);
  PushDelta(0);
  PushDelta(1);
  EXPECT_TRUE(GapsOut().empty()) << "nothing to give out, and no picture to say how large they are";
  PushKey(2);
  EXPECT_TRUE(GapsOut().empty());
  PushDelta(3);
  EXPECT_EQ(GapsOut(), (std::vector<GapSeen>{{3 * kFrame, kFrame}}))
      << "with the first dropped one";
  for (guint64 frame = 4; frame < 27; ++frame) PushDelta(frame);
  std::vector<GapSeen> gaps = GapsOut();
  EXPECT_GE(gaps.size(), 3u) << "as time goes on";
  EXPECT_LE(gaps.size(), 4u) << "but not for every frame";
  PushKey(27);
  for (const GapSeen& gap : GapsOut()) gaps.push_back(gap);
  GstClockTime end = 4 * kFrame;
  for (const GapSeen& gap : gaps) {
    EXPECT_EQ(gap.start, end);
    end = gap.start + gap.duration;
  }
  EXPECT_EQ(end, 27 * kFrame);
  PushKey(28);
  EXPECT_TRUE(GapsOut().empty()) << "nothing was dropped";
}

TEST_F(KeyframesTest, GapsWithReorderedFrames) {
  SetCaps(kByteStream);
  const Bytes b = AnnexB({h264::B()});
  // Decoded as I0 P3 B1 B2, then an open GOP: I6 with B4 and B5 shown before it, P7.
  PushKey(0);
  PushDelta(3);
  EXPECT_EQ(GapsOut(), (std::vector<GapSeen>{{kFrame, 3 * kFrame}}));
  Push(b, kFrame);
  Push(b, 2 * kFrame);
  EXPECT_TRUE(GapsOut().empty()) << "their time is covered";
  Push(AnnexB({h264::Recovery(), h264::I()}), 6 * kFrame);
  EXPECT_EQ(GapsOut(), (std::vector<GapSeen>{{4 * kFrame, 2 * kFrame}}));
  Push(b, 4 * kFrame);
  Push(b, 5 * kFrame);
  EXPECT_TRUE(GapsOut().empty()) << "these were shown before the keyframe";
  PushDelta(7);
  EXPECT_EQ(GapsOut(), (std::vector<GapSeen>{{7 * kFrame, kFrame}}));
  EXPECT_EQ(FramesOut(), (std::vector<guint64>{0, 6}));
}

TEST_F(KeyframesTest, GapsWithoutDurationsOrFramerate) {
  SetCaps("video/x-h264,stream-format=byte-stream,alignment=au");
  const auto push = [&](const Bytes& bytes, guint64 frame) {
    ASSERT_EQ(gst_harness_push(harness_, MakeBuffer(bytes, frame * kFrame, false,
                                                    GST_CLOCK_TIME_NONE, GST_CLOCK_TIME_NONE)),
              GST_FLOW_OK);
  };
  push(AnnexB({h264::Idr()}), 0);
  push(AnnexB({h264::P()}), 1);
  EXPECT_EQ(GapsOut(), (std::vector<GapSeen>{{kFrame, GST_CLOCK_TIME_NONE}}));
  push(AnnexB({h264::P()}), 2);
  push(AnnexB({h264::Idr()}), 3);
  EXPECT_EQ(GapsOut(), (std::vector<GapSeen>{{kFrame, 2 * kFrame}}));
  push(AnnexB({h264::B()}), 2);
  push(AnnexB({h264::Idr()}), 4);
  EXPECT_TRUE(GapsOut().empty()) << "nothing was dropped between these two";
}

TEST_F(KeyframesTest, BuffersWithoutTimesPassWithoutGaps) {
  SetCaps(kByteStream);
  SetRate(1, 1);
  for (int i = 0; i < 3; ++i) {
    Push(AnnexB({h264::Idr()}), GST_CLOCK_TIME_NONE);
    Push(AnnexB({h264::P()}), GST_CLOCK_TIME_NONE);
  }
  EXPECT_EQ(gst_harness_buffers_in_queue(harness_), 3u);
  EXPECT_TRUE(GapsOut().empty());
}

TEST_F(KeyframesTest, TheEndTellsTheRestFirst) {
  SetCaps(kByteStream);
  PushKey(0);
  for (const guint64 frame : {2, 1, 5, 4, 3}) PushDelta(frame);  // as they are decoded
  GapsOut();
  EXPECT_TRUE(gst_harness_push_event(harness_, gst_event_new_eos()));
  std::vector<GstEventType> types;
  GstClockTime end = 0;
  while (GstEvent* event = gst_harness_try_pull_event(harness_)) {
    types.push_back(GST_EVENT_TYPE(event));
    if (types.back() == GST_EVENT_GAP) {
      GapSeen gap{};
      gst_event_parse_gap(event, &gap.start, &gap.duration);
      end = gap.start + gap.duration;
    }
    gst_event_unref(event);
  }
  EXPECT_EQ(types, (std::vector<GstEventType>{GST_EVENT_GAP, GST_EVENT_EOS}));
  EXPECT_EQ(end, 6 * kFrame);
}

TEST_F(KeyframesTest, TheSegmentSaysThatItIsOfKeyUnits) {
  SetCaps(kByteStream);
  GapsOut();
  GstSegment segment = TimeSegment();
  segment.start = segment.position = segment.time = 5 * GST_SECOND;
  segment.base = 3 * GST_SECOND;
  GstEvent* in = gst_event_new_segment(&segment);
  const guint32 seqnum = gst_event_get_seqnum(in);
  ASSERT_TRUE(gst_harness_push_event(harness_, in));
  GstEvent* out = gst_harness_try_pull_event(harness_);
  ASSERT_NE(out, nullptr);
  ASSERT_EQ(GST_EVENT_TYPE(out), GST_EVENT_SEGMENT);
  const GstSegment* got = nullptr;
  gst_event_parse_segment(out, &got);
  EXPECT_TRUE(got->flags & GST_SEGMENT_FLAG_TRICKMODE_KEY_UNITS);
  EXPECT_EQ(gst_event_get_seqnum(out), seqnum);
  GstSegment unflagged = *got;
  unflagged.flags = segment.flags;
  EXPECT_TRUE(gst_segment_is_equal(&unflagged, &segment));
  gst_event_unref(out);
}

// All keyframes, 25 a second.
TEST_F(KeyframesTest, NoMoreThanSoManyASecond) {
  SetCaps(kByteStream);
  struct Case {
    gint n, d;
    size_t expected;
  };
  for (const Case& c : {Case{10, 1, 100}, Case{1, 1, 10}, Case{1, 2, 5}, Case{25, 1, 250},
                        Case{24, 1, 240}, Case{1000, 1, 250}, Case{0, 1, 250}}) {
    SCOPED_TRACE(c.n);
    Flush();
    Segment(TimeSegment());
    SetRate(c.n, c.d);
    for (guint64 frame = 0; frame < 250; ++frame) PushKey(frame);
    const size_t passed = FramesOut().size();
    EXPECT_LE(passed, c.expected + 1);
    EXPECT_GE(passed + 1, c.expected);
  }
}

// A camera's keyframe a second, each some milliseconds early or late.
TEST_F(KeyframesTest, AKeyframeASecondPassesOnceASecond) {
  SetCaps(kByteStream);
  SetRate(1, 1);
  for (gint64 second = 0; second < 20; ++second) {
    const gint64 jitter =
        second == 0 ? 0 : (second % 3 - 1) * static_cast<gint64>(15 * GST_MSECOND);
    Push(AnnexB({h264::Idr()}),
         static_cast<guint64>(second * static_cast<gint64>(GST_SECOND) + jitter));
  }
  EXPECT_EQ(gst_harness_buffers_in_queue(harness_), 20u);
}

TEST_F(KeyframesTest, KeyframesOverTheRateAreGapsAndDiscontinuities) {
  SetCaps(kByteStream);
  SetRate(1, 1);
  for (guint64 frame = 0; frame < 10; ++frame) PushKey(frame);
  PushKey(25);
  EXPECT_EQ(gst_harness_buffers_in_queue(harness_), 2u);
  TryPull();
  const BufferHolder second = TryPull();
  EXPECT_TRUE(GST_BUFFER_FLAG_IS_SET(second.get(), GST_BUFFER_FLAG_DISCONT));
  const std::vector<GapSeen> gaps = GapsOut();
  ASSERT_FALSE(gaps.empty());
  EXPECT_EQ(gaps.front().start, kFrame);
  EXPECT_EQ(gaps.back().start + gaps.back().duration, 25 * kFrame);
  EXPECT_EQ(Stat("keyframes"), 11u);
  EXPECT_EQ(Stat("dropped"), 9u);
}

TEST_F(KeyframesTest, TheRateChangesWhilePlaying) {
  SetCaps(kByteStream);
  SetRate(1, 10);
  for (guint64 frame = 0; frame < 25; ++frame) PushKey(frame);
  EXPECT_EQ(FramesOut(), std::vector<guint64>{0});
  SetRate(25, 1);
  for (guint64 frame = 25; frame < 50; ++frame) PushKey(frame);
  EXPECT_EQ(FramesOut().size(), 25u) << "at once, not after the ten seconds";
  gint n = 0, d = 0;
  GValue value = G_VALUE_INIT;
  g_value_init(&value, GST_TYPE_FRACTION);
  g_object_get_property(G_OBJECT(harness_->element), "max-rate", &value);
  n = gst_value_get_fraction_numerator(&value);
  d = gst_value_get_fraction_denominator(&value);
  EXPECT_EQ(n, 25);
  EXPECT_EQ(d, 1);
  g_value_unset(&value);
}

TEST_F(KeyframesTest, AFlushBeginsAnew) {
  SetCaps(kByteStream);
  SetRate(1, 1);
  PushKey(0);
  PushDelta(1);
  GapsOut();
  FramesOut();
  Flush();
  Segment(TimeSegment());
  PushDelta(1);
  EXPECT_TRUE(GapsOut().empty()) << "no keyframe since";
  PushKey(3);
  EXPECT_EQ(FramesOut(), std::vector<guint64>{3}) << "the schedule, too";
  PushDelta(4);
  EXPECT_EQ(GapsOut().size(), 1u);
}

// Running time goes on over the segments of one stream, and so does the schedule.
TEST_F(KeyframesTest, ANewSegmentKeepsTheSchedule) {
  SetCaps(kByteStream);
  SetRate(1, 1);
  PushKey(0);
  PushDelta(10);
  FramesOut();
  GapsOut();
  GstSegment segment = TimeSegment();
  segment.base = 11 * kFrame;
  segment.start = segment.time = 100 * kFrame;
  Segment(segment);
  PushDelta(100);
  EXPECT_TRUE(GapsOut().empty());
  PushKey(101);
  PushKey(113);
  PushKey(114);
  EXPECT_EQ(FramesOut(), std::vector<guint64>{113}) << "a second after the first, give or take";
  GapsOut();
}

TEST_F(KeyframesTest, Backwards) {
  SetCaps(kByteStream);
  SetRate(1, 1);
  GstSegment segment = TimeSegment();
  segment.rate = -1;
  segment.start = 0;
  segment.stop = segment.position = 100 * kFrame;
  Segment(segment);
  // A group of pictures at a time, the last one first.
  for (const guint64 group : {75, 50, 25, 0}) {
    PushKey(group);
    for (guint64 i = 1; i < 25; ++i) PushDelta(group + i);
  }
  EXPECT_EQ(FramesOut(), (std::vector<guint64>{75, 50, 25, 0}));
  EXPECT_TRUE(GapsOut().empty());
}

TEST_F(KeyframesTest, FasterThanRealTimeTheRateIsOfRunningTime) {
  SetCaps(kByteStream);
  SetRate(5, 1);
  GstSegment segment = TimeSegment();
  segment.rate = 4;
  Segment(segment);
  for (guint64 frame = 0; frame < 96; ++frame) PushKey(frame);
  EXPECT_EQ(FramesOut().size(), 5u) << "four seconds of video in one";
}

TEST_F(KeyframesTest, SegmentsOfBytes) {
  SetCaps(kByteStream);
  SetRate(1, 1);
  GstSegment segment;
  gst_segment_init(&segment, GST_FORMAT_BYTES);
  Segment(segment);
  for (guint64 frame = 0; frame < 8; frame += 2) PushKey(frame), PushDelta(frame + 1);
  EXPECT_EQ(FramesOut().size(), 4u) << "no time, no rate";
  EXPECT_TRUE(GapsOut().empty());
}

}  // namespace
}  // namespace cliptag::test
