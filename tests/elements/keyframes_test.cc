// `cliptagkeyframes` in a harness, on bitstreams made by hand: what passes, with which flags,
// between which events.
#include <atomic>
#include <iterator>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "tests/elements/gst_test.h"
#include "tests/elements/keyframe_bytes.h"

namespace cliptag::test {
namespace {

constexpr GstClockTime kFrame = 40 * GST_MSECOND;
const char kByteStream[] =
    "video/x-h264,stream-format=byte-stream,alignment=au,width=64,height=64,framerate=25/1";

GstStaticCaps kReference = GST_STATIC_CAPS("timestamp/x-ntp");

struct GapSeen {
  GstClockTime start, duration;
  bool operator==(const GapSeen&) const = default;
};
std::ostream& operator<<(std::ostream& out, const GapSeen& gap) {
  return out << gap.start << "+" << gap.duration;
}

class KeyframesTest : public ::testing::Test {
 protected:
  KeyframesTest() : harness_(gst_harness_new("cliptagkeyframes")) {
    gst_element_set_bus(harness_->element, bus_);
  }
  ~KeyframesTest() override {
    gst_element_set_bus(harness_->element, nullptr);
    gst_object_unref(bus_);
    gst_harness_teardown(harness_);
  }

  void SetCaps(const char* caps) { gst_harness_set_src_caps_str(harness_, caps); }
  void SetCapsWithData(const std::string& caps, const Bytes& data) {
    GstCaps* parsed = gst_caps_from_string(caps.c_str());
    GstBuffer* buffer = gst_buffer_new_memdup(data.data(), data.size());
    gst_caps_set_simple(parsed, "codec_data", GST_TYPE_BUFFER, buffer, nullptr);
    gst_buffer_unref(buffer);
    gst_harness_set_src_caps(harness_, parsed);
  }

  static GstBuffer* MakeBuffer(const Bytes& bytes, GstClockTime pts, bool delta = false,
                               GstClockTime dts = GST_CLOCK_TIME_NONE,
                               GstClockTime duration = kFrame) {
    GstBuffer* buffer =
        bytes.empty() ? gst_buffer_new() : gst_buffer_new_memdup(bytes.data(), bytes.size());
    GST_BUFFER_PTS(buffer) = pts;
    GST_BUFFER_DTS(buffer) = dts;
    GST_BUFFER_DURATION(buffer) = duration;
    if (delta) GST_BUFFER_FLAG_SET(buffer, GST_BUFFER_FLAG_DELTA_UNIT);
    return buffer;
  }
  void Push(const Bytes& bytes, GstClockTime pts, bool delta = false) {
    EXPECT_EQ(gst_harness_push(harness_, MakeBuffer(bytes, pts, delta)), GST_FLOW_OK);
  }
  void PushKey(guint64 frame) { Push(AnnexB({h264::Idr()}), frame * kFrame); }
  // Flagged as a keyframe, which it is not.
  void PushDelta(guint64 frame) { Push(AnnexB({h264::P()}), frame * kFrame); }

  BufferHolder TryPull() { return BufferHolder(gst_harness_try_pull(harness_)); }
  static Bytes BytesOf(GstBuffer* buffer) {
    Bytes bytes(gst_buffer_get_size(buffer));
    gst_buffer_extract(buffer, 0, bytes.data(), bytes.size());
    return bytes;
  }
  // The frames that have come out since, by time.
  std::vector<guint64> FramesOut() {
    std::vector<guint64> frames;
    while (BufferHolder buffer = TryPull()) frames.push_back(GST_BUFFER_PTS(buffer.get()) / kFrame);
    return frames;
  }
  std::vector<GapSeen> GapsOut() {
    std::vector<GapSeen> gaps;
    while (GstEvent* event = gst_harness_try_pull_event(harness_)) {
      if (GST_EVENT_TYPE(event) == GST_EVENT_GAP) {
        GapSeen gap{};
        gst_event_parse_gap(event, &gap.start, &gap.duration);
        gaps.push_back(gap);
      }
      gst_event_unref(event);
    }
    return gaps;
  }
  void SetRate(gint n, gint d) { g_object_set(harness_->element, "max-rate", n, d, nullptr); }
  guint64 Stat(const char* name) {
    GstStructure* stats = nullptr;
    guint64 value = G_MAXUINT64;
    g_object_get(harness_->element, "stats", &stats, nullptr);
    EXPECT_TRUE(gst_structure_get_uint64(stats, name, &value)) << name;
    gst_structure_free(stats);
    return value;
  }
  std::vector<std::string> Warnings() {
    std::vector<std::string> texts;
    for (const MessagePtr& m : PopMessages(bus_, GST_MESSAGE_WARNING))
      texts.push_back(TextOf(m.get()));
    return texts;
  }
  void Segment(const GstSegment& segment) {
    EXPECT_TRUE(gst_harness_push_event(harness_, gst_event_new_segment(&segment)));
  }
  void Flush() {
    EXPECT_TRUE(gst_harness_push_event(harness_, gst_event_new_flush_start()));
    EXPECT_TRUE(gst_harness_push_event(harness_, gst_event_new_flush_stop(TRUE)));
  }
  static GstSegment TimeSegment() {
    GstSegment segment;
    gst_segment_init(&segment, GST_FORMAT_TIME);
    return segment;
  }

  GstBus* bus_ = gst_bus_new();
  GstHarness* harness_;
};

TEST_F(KeyframesTest, KeyframesAlonePassAsTheyAre) {
  SetCaps(kByteStream);
  GstBuffer* key = MakeBuffer(AnnexB({h264::Aud(), h264::Sps(), h264::Idr()}), 3 * kFrame, false,
                              kFrame, 2 * kFrame);
  GST_BUFFER_OFFSET(key) = 77;
  ASSERT_EQ(gst_harness_push(harness_, GST_BUFFER(gst_buffer_ref(key))), GST_FLOW_OK);
  const BufferHolder out = TryPull();
  EXPECT_EQ(out.get(), key) << "not copied";
  EXPECT_FALSE(GST_BUFFER_FLAG_IS_SET(out.get(), GST_BUFFER_FLAG_DELTA_UNIT));
  gst_buffer_unref(key);
  PushDelta(4);
  PushDelta(5);
  EXPECT_EQ(TryPull(), nullptr);
  PushKey(6);
  EXPECT_EQ(FramesOut(), std::vector<guint64>{6});
  EXPECT_EQ(Stat("frames-in"), 4u);
  EXPECT_EQ(Stat("keyframes"), 2u);
  EXPECT_EQ(Stat("passed"), 2u);
  EXPECT_EQ(Stat("dropped"), 2u);
  EXPECT_TRUE(Warnings().empty());
}

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

TEST_F(KeyframesTest, EveryCodecIsReadWhateverTheFlagsSay) {
  struct Case {
    const char* caps;
    Bytes data, key, other;
  };
  Bytes hvcc(23, 0);
  hvcc[21] = 3;
  const Case cases[] = {
      {kByteStream, {}, AnnexB({h264::Idr()}), AnnexB({h264::P()})},
      {"video/x-h264,stream-format=avc,alignment=au", h264::CodecData(2),
       WithLengths({h264::Recovery(), h264::I()}, 2), WithLengths({h264::I()}, 2)},
      {"video/x-h264,stream-format=avc3,alignment=au", h264::CodecData(),
       WithLengths({h264::Idr()}), WithLengths({h264::B()})},
      {"video/x-h265,stream-format=byte-stream,alignment=au",
       {},
       AnnexB({h265::Nal(21)}),
       AnnexB({h265::Nal(1)})},
      {"video/x-h265,stream-format=hvc1,alignment=au", hvcc, WithLengths({h265::Nal(19)}),
       WithLengths({h265::Nal(9)})},
      {"video/x-h265,stream-format=hev1,alignment=au", hvcc, WithLengths({h265::Nal(16)}),
       WithLengths({h265::Nal(0)})},
      {"video/x-vp8", {}, vp8::Frame(true), vp8::Frame(false)},
      {"video/x-vp9", {}, vp9::Frame(true), vp9::Frame(false)},
      {"video/x-av1,stream-format=obu-stream,alignment=tu", {}, av1::Key(), av1::Inter()},
      {"video/x-av1,stream-format=obu-stream,alignment=frame", {}, av1::Key(), av1::Frame(1)},
  };
  guint64 frame = 0;
  for (const Case& c : cases) {
    SCOPED_TRACE(c.caps);
    if (c.data.empty()) {
      SetCaps(c.caps);
    } else {
      SetCapsWithData(c.caps, c.data);
    }
    // First with every flag as it should be, then with every flag the other way round.
    for (const bool wrong : {false, true}) {
      Push(c.key, frame * kFrame, wrong);
      const BufferHolder out = TryPull();
      ASSERT_NE(out, nullptr);
      EXPECT_EQ(GST_BUFFER_PTS(out.get()), frame * kFrame);
      EXPECT_EQ(BytesOf(out.get()), c.key);
      EXPECT_FALSE(GST_BUFFER_FLAG_IS_SET(out.get(), GST_BUFFER_FLAG_DELTA_UNIT));
      Push(c.other, (frame + 1) * kFrame, !wrong);
      EXPECT_EQ(TryPull(), nullptr);
      frame += 2;
    }
  }
  EXPECT_TRUE(Warnings().empty());
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
  for (guint64 frame = 1; frame < 4; ++frame) PushDelta(frame);
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
  EXPECT_EQ(end, 4 * kFrame);
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

TEST_F(KeyframesTest, PropertiesFromOtherThreads) {
  SetCaps(kByteStream);
  std::atomic<bool> stop{false};
  std::thread other([&] {
    for (gint i = 0; !stop; ++i) {
      SetRate(i % 30, 1);
      EXPECT_LE(Stat("passed"), Stat("frames-in") + 1);
    }
  });
  for (guint64 frame = 0; frame < 2000; ++frame) {
    PushKey(frame);
    PushDelta(frame);
  }
  stop = true;
  other.join();
  EXPECT_EQ(Stat("passed") + Stat("dropped"), 4000u);
  EXPECT_EQ(Stat("passed"), gst_harness_buffers_in_queue(harness_));
}

TEST_F(KeyframesTest, HeadersOfTheirOwnPass) {
  SetCaps(kByteStream);
  PushKey(0);
  PushDelta(1);
  FramesOut();
  GapsOut();
  GstBuffer* headers = MakeBuffer(AnnexB({h264::Sps(), h264::Pps()}), 2 * kFrame, true);
  GST_BUFFER_FLAG_SET(headers, GST_BUFFER_FLAG_HEADER);
  ASSERT_EQ(gst_harness_push(harness_, GST_BUFFER(gst_buffer_ref(headers))), GST_FLOW_OK);
  const BufferHolder out = TryPull();
  EXPECT_EQ(out.get(), headers);
  EXPECT_FALSE(GST_BUFFER_FLAG_IS_SET(headers, GST_BUFFER_FLAG_DISCONT));
  gst_buffer_unref(headers);
  PushKey(3);
  const BufferHolder key = TryPull();
  EXPECT_EQ(BytesOf(key.get()), AnnexB({h264::Idr()})) << "they have been sent";
  EXPECT_TRUE(GST_BUFFER_FLAG_IS_SET(key.get(), GST_BUFFER_FLAG_DISCONT));
  EXPECT_EQ(Stat("frames-in"), 3u) << "headers are no frame";
}

TEST_F(KeyframesTest, ParameterSetsOfDroppedPicturesReachTheNextKeyframe) {
  SetCaps(kByteStream);
  Push(AnnexB({h264::Aud(), h264::Sps(), h264::Pps(), h264::Idr()}), 0);
  Push(AnnexB({h264::Aud(), h264::Pps(0, 0x55), h264::P()}), kFrame);
  Push(AnnexB({h264::Aud(), h264::Pps(1), h264::P()}), 2 * kFrame);
  TryPull();
  GstBuffer* key = MakeBuffer(AnnexB({h264::Aud(), h264::Idr()}), 3 * kFrame, false, 2 * kFrame);
  GstCaps* reference = gst_static_caps_get(&kReference);
  gst_buffer_add_reference_timestamp_meta(key, reference, 5, 6);
  gst_caps_unref(reference);
  ASSERT_EQ(gst_harness_push(harness_, key), GST_FLOW_OK);
  const BufferHolder out = TryPull();
  ASSERT_NE(out, nullptr);
  EXPECT_EQ(BytesOf(out.get()),
            AnnexB({h264::Aud(), h264::Pps(0, 0x55), h264::Pps(1), h264::Idr()}));
  EXPECT_EQ(GST_BUFFER_PTS(out.get()), 3 * kFrame);
  EXPECT_EQ(GST_BUFFER_DTS(out.get()), 2 * kFrame);
  EXPECT_EQ(GST_BUFFER_DURATION(out.get()), kFrame);
  EXPECT_NE(gst_buffer_get_reference_timestamp_meta(out.get(), nullptr), nullptr);
  PushDelta(4);
  PushKey(5);
  EXPECT_EQ(BytesOf(TryPull().get()), AnnexB({h264::Idr()})) << "once is enough";
}

TEST_F(KeyframesTest, ParameterSetsOfKeyframesOverTheRateTooAndInLengths) {
  SetCapsWithData("video/x-h264,stream-format=avc3,alignment=au,framerate=25/1", h264::CodecData());
  SetRate(1, 1);
  Push(WithLengths({h264::Sps(), h264::Pps(), h264::Idr()}), 0);
  Push(WithLengths({h264::Sps(0, 41), h264::Pps(), h264::Idr()}), kFrame);
  TryPull();
  Push(WithLengths({h264::Idr()}), 25 * kFrame);
  EXPECT_EQ(BytesOf(TryPull().get()), WithLengths({h264::Sps(0, 41), h264::Idr()}));
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
  for (guint64 frame = 0; frame < 4; ++frame) PushKey(frame), PushDelta(frame);
  EXPECT_EQ(FramesOut().size(), 4u) << "no time, no rate";
  EXPECT_TRUE(GapsOut().empty());
}

TEST_F(KeyframesTest, CapsThatChangeTheFraming) {
  SetCapsWithData("video/x-h264,stream-format=avc,alignment=au", h264::CodecData(4));
  Push(WithLengths({h264::Idr()}, 4), 0);
  SetCapsWithData("video/x-h264,stream-format=avc,alignment=au", h264::CodecData(1));
  Push(WithLengths({h264::Idr()}, 1), kFrame);
  SetCaps(kByteStream);
  PushKey(2);
  SetCaps("video/x-vp8");
  Push(vp8::Frame(true), 3 * kFrame);
  EXPECT_EQ(FramesOut(), (std::vector<guint64>{0, 1, 2, 3}));
  EXPECT_TRUE(Warnings().empty());
}

// As h264parse does it when it has learnt the frame rate.
TEST_F(KeyframesTest, CapsOfTheSameStreamForgetNoParameterSets) {
  SetCaps(kByteStream);
  Push(AnnexB({h264::Sps(), h264::Idr()}), 0);
  Push(AnnexB({h264::Pps(), h264::P()}), kFrame);
  FramesOut();
  SetCaps("video/x-h264,stream-format=byte-stream,alignment=au,width=64,height=64,framerate=50/1");
  PushKey(2);
  EXPECT_EQ(BytesOf(TryPull().get()), AnnexB({h264::Pps(), h264::Idr()}));
}

TEST_F(KeyframesTest, BrokenBuffersAreDroppedWithOneWarning) {
  SetCaps(kByteStream);
  PushKey(0);
  Push({}, kFrame);
  Push(Bytes(100, 0xff), 2 * kFrame);
  Push({0, 0, 1}, 3 * kFrame);
  PushKey(4);
  EXPECT_EQ(FramesOut(), (std::vector<guint64>{0, 4}));
  const std::vector<std::string> warnings = Warnings();
  ASSERT_EQ(warnings.size(), 1u);
  EXPECT_NE(warnings[0].find("empty"), std::string::npos) << warnings[0];
  EXPECT_EQ(Stat("dropped"), 3u);
}

TEST_F(KeyframesTest, TheFlagDecidesWhereTheStreamCannotBeRead) {
  // Encrypted.
  SetCaps(kByteStream);
  const auto push_protected = [&](guint64 frame, bool delta) {
    GstBuffer* buffer = MakeBuffer(Bytes(64, 0x5c), frame * kFrame, delta);
    gst_buffer_add_protection_meta(buffer, gst_structure_new_empty("application/x-cenc"));
    ASSERT_EQ(gst_harness_push(harness_, buffer), GST_FLOW_OK);
  };
  push_protected(0, false);
  push_protected(1, true);
  push_protected(2, false);
  EXPECT_EQ(FramesOut(), (std::vector<guint64>{0, 2}));
  // Without the size of the lengths.
  SetCaps("video/x-h264,stream-format=avc,alignment=au");
  Push(WithLengths({h264::P()}), 3 * kFrame, false);
  Push(WithLengths({h264::Idr()}), 4 * kFrame, true);
  EXPECT_EQ(FramesOut(), std::vector<guint64>{3});
  // Without a sequence header.
  SetCaps("video/x-av1,stream-format=obu-stream,alignment=tu");
  Push(av1::Inter(), 5 * kFrame, false);
  Push(av1::Frame(0), 6 * kFrame, true);
  EXPECT_EQ(FramesOut(), std::vector<guint64>{5});
  EXPECT_TRUE(Warnings().empty());
}

TEST_F(KeyframesTest, RequestsForKeyframesReachTheEncoder) {
  SetCaps(kByteStream);
  GstStructure* request = gst_structure_new_empty("GstForceKeyUnit");
  ASSERT_TRUE(gst_harness_push_upstream_event(
      harness_, gst_event_new_custom(GST_EVENT_CUSTOM_UPSTREAM, request)));
  bool seen = false;
  while (GstEvent* event = gst_harness_try_pull_upstream_event(harness_)) {
    seen = seen || gst_event_has_name(event, "GstForceKeyUnit");
    gst_event_unref(event);
  }
  EXPECT_TRUE(seen);
}

TEST_F(KeyframesTest, BuffersBeforeCapsAreAnError) {
  gst_harness_push_event(harness_, gst_event_new_stream_start("s"));
  const GstSegment segment = TimeSegment();
  Segment(segment);
  EXPECT_EQ(gst_harness_push(harness_, MakeBuffer(AnnexB({h264::Idr()}), 0)),
            GST_FLOW_NOT_NEGOTIATED);
}

TEST_F(KeyframesTest, WhatDownstreamAnswersComesBack) {
  SetCaps(kByteStream);
  PushKey(0);
  gst_pad_set_active(harness_->sinkpad, FALSE);
  EXPECT_EQ(gst_harness_push(harness_, MakeBuffer(AnnexB({h264::Idr()}), kFrame)),
            GST_FLOW_FLUSHING);
  gst_pad_set_active(harness_->sinkpad, TRUE);
}

// Whatever comes in whatever order: every frame is accounted for, gaps are within the segment, go
// forwards and never lie over a keyframe.
TEST_F(KeyframesTest, AnySequence) {
  std::mt19937 random(11);
  SetCaps(kByteStream);
  const Bytes units[] = {AnnexB({h264::Idr()}),
                         AnnexB({h264::Aud(), h264::Sps(), h264::Pps(), h264::Idr()}),
                         AnnexB({h264::Recovery(), h264::I()}),
                         AnnexB({h264::P()}),
                         AnnexB({h264::Pps(2), h264::B()}),
                         AnnexB({h264::Sps(1)}),
                         {},
                         Bytes(9, 0xff)};
  GstClockTime time = 0;
  guint64 keyframes_out = 0;
  for (int step = 0; step < 20000; ++step) {
    const unsigned what = random() % 400;
    if (what == 0) {
      Flush();
      GapsOut();
      GstSegment segment = TimeSegment();
      segment.rate = random() % 4 == 0 ? -1 : 1;
      segment.start = random() % (10 * kFrame);
      segment.stop = segment.start + 500 * kFrame;
      Segment(segment);
      time = segment.start;
    } else if (what == 1) {
      SetCaps(random() % 2 == 0 ? kByteStream
                                : "video/x-h264,stream-format=byte-stream,alignment=au");
    } else if (what < 8) {
      SetRate(static_cast<gint>(random() % 3 * 12), 1);
    } else if (what < 12) {
      time += random() % (20 * kFrame);
    }
    Bytes bytes = units[random() % std::size(units)];
    if (random() % 16 == 0 && !bytes.empty())
      bytes[random() % bytes.size()] ^= 1u << (random() % 8);
    time += random() % 16 == 0 ? 0 : kFrame;
    const bool timed = random() % 32 != 0;
    GstBuffer* buffer = MakeBuffer(
        bytes, timed ? time + random() % 3 * kFrame : GST_CLOCK_TIME_NONE, random() % 2 == 0,
        timed ? time : GST_CLOCK_TIME_NONE, random() % 8 == 0 ? GST_CLOCK_TIME_NONE : kFrame);
    ASSERT_EQ(gst_harness_push(harness_, buffer), GST_FLOW_OK);
    GstClockTime end = 0;
    for (const GapSeen& gap : GapsOut()) {
      EXPECT_GE(gap.start, end);
      end = GST_CLOCK_TIME_IS_VALID(gap.duration) ? gap.start + gap.duration : gap.start;
    }
    while (const BufferHolder out = TryPull()) {
      EXPECT_GT(gst_buffer_get_size(out.get()), 0u);
      EXPECT_TRUE(!GST_BUFFER_PTS_IS_VALID(out.get()) || end <= GST_BUFFER_PTS(out.get()));
      ++keyframes_out;
    }
  }
  EXPECT_EQ(Stat("passed") + Stat("dropped"), Stat("frames-in"));
  EXPECT_GE(keyframes_out, Stat("passed")) << "and headers";
  EXPECT_GE(Stat("passed"), 1000u);
}

TEST_F(KeyframesTest, CountsBeginAnewWithTheElement) {
  SetCaps(kByteStream);
  PushKey(0);
  PushDelta(1);
  EXPECT_EQ(Stat("frames-in"), 2u);
  gst_element_set_state(harness_->element, GST_STATE_READY);
  gst_element_set_state(harness_->element, GST_STATE_PLAYING);
  EXPECT_EQ(Stat("frames-in"), 0u);
}

TEST(Keyframes, OnlyWholePicturesAreTaken) {
  GstElement* element = gst_element_factory_make("cliptagkeyframes", nullptr);
  ASSERT_NE(element, nullptr);
  GstPad* sink = gst_element_get_static_pad(element, "sink");
  for (const char* caps :
       {"video/x-h264,stream-format=byte-stream,alignment=nal", "video/x-raw,format=I420",
        "video/x-av1,stream-format=annexb,alignment=tu", "image/jpeg"}) {
    GstCaps* parsed = gst_caps_from_string(caps);
    EXPECT_FALSE(gst_pad_query_accept_caps(sink, parsed)) << caps;
    gst_caps_unref(parsed);
  }
  gst_object_unref(sink);
  gst_object_unref(element);
}

}  // namespace
}  // namespace cliptag::test
