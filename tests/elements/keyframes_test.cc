// `cliptagkeyframes` in a harness: what passes, and what becomes of its parameter sets, of caps, of
// damage and of what comes from other threads.
#include <atomic>
#include <iterator>
#include <random>
#include <thread>

#include "tests/elements/keyframes_fixture.h"

namespace cliptag::test {
namespace {

GstStaticCaps kReference = GST_STATIC_CAPS("timestamp/x-ntp");

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

TEST_F(KeyframesTest, PropertiesFromOtherThreads) {
  SetCaps(kByteStream);
  std::atomic<bool> stop{false};
  std::thread other([&] {
    for (gint i = 0; !stop; ++i) {
      SetRate(i % 30, 1);
      GstStructure* stats = nullptr;
      guint64 in = 0, passed = 0, dropped = 0;
      g_object_get(harness_->element, "stats", &stats, nullptr);
      EXPECT_TRUE(gst_structure_get(stats, "frames-in", G_TYPE_UINT64, &in, "passed", G_TYPE_UINT64,
                                    &passed, "dropped", G_TYPE_UINT64, &dropped, nullptr));
      EXPECT_EQ(in, passed + dropped);
      gst_structure_free(stats);
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
  const std::vector<std::string> errors = Errors();
  ASSERT_EQ(errors.size(), 1u);
  EXPECT_NE(errors[0].find("h264parse"), std::string::npos) << errors[0];
}

// "not-negotiated" is all that GStreamer says of them.
TEST_F(KeyframesTest, RefusedCapsAreSaidWithWhatToDo) {
  struct Case {
    const char *caps, *what, *todo;
  };
  for (const Case& c :
       {Case{"video/x-h264,stream-format=avc", "alignment unknown", "put h264parse before"},
        Case{"video/x-h264,stream-format=byte-stream,alignment=nal", "alignment=nal",
             "put h264parse before"},
        Case{"video/x-h265,stream-format=hvc1", "alignment unknown", "put h265parse before"},
        Case{"video/x-h265,stream-format=byte-stream,alignment=nal", "alignment=nal",
             "put h265parse before"},
        Case{"video/x-h264", "stream-format unknown", "put h264parse before"},
        Case{"video/x-av1,stream-format=annexb,alignment=tu", "stream-format=annexb",
             "put av1parse before"},
        Case{"image/jpeg", "not image/jpeg", "and the decoder"}}) {
    SCOPED_TRACE(c.caps);
    gst_harness_push_event(harness_, gst_event_new_stream_start("s"));
    GstCaps* caps = gst_caps_from_string(c.caps);
    gst_harness_push_event(harness_, gst_event_new_caps(caps));
    gst_caps_unref(caps);
    const std::vector<std::string> errors = Errors();
    ASSERT_EQ(errors.size(), 1u);
    EXPECT_NE(errors[0].find(c.what), std::string::npos) << errors[0];
    EXPECT_NE(errors[0].find(c.todo), std::string::npos) << errors[0];
  }
  SetCaps(kByteStream);
  EXPECT_TRUE(Errors().empty());
}

TEST_F(KeyframesTest, IPicturesThatNobodyMayBeginWithAreToldOnce) {
  SetCaps(kByteStream);
  PushKey(0);
  // A GOP of two seconds, open and without recovery points, for a minute.
  for (guint64 frame = 1; frame < 1500; ++frame) {
    if (frame % 50 == 0) {
      Push(AnnexB({h264::I(), h264::I(30)}), frame * kFrame);
    } else {
      PushDelta(frame);
    }
    if (frame == 125) {
      EXPECT_TRUE(Warnings().empty()) << "five seconds are not long";
    }
    if (frame == 127) {
      const std::vector<std::string> warnings = Warnings();
      ASSERT_EQ(warnings.size(), 1u) << "of two I pictures";
      EXPECT_NE(warnings[0].find("open GOP"), std::string::npos) << warnings[0];
    }
  }
  EXPECT_TRUE(Warnings().empty()) << "once is enough";
  EXPECT_EQ(FramesOut(), std::vector<guint64>{0});
}

TEST_F(KeyframesTest, NoKeyframesAtAllAreToldOnce) {
  SetCaps(kByteStream);
  // The first slice of each picture is intra, as some cameras refresh, but not all of it.
  for (guint64 frame = 0; frame < 1000; ++frame) {
    Push(AnnexB({h264::I(), h264::P()}), frame * kFrame);
    if (frame == 250) {
      EXPECT_TRUE(Warnings().empty());
    }
  }
  const std::vector<std::string> warnings = Warnings();
  ASSERT_EQ(warnings.size(), 1u);
  EXPECT_NE(warnings[0].find("key-int-max"), std::string::npos) << warnings[0];
}

TEST_F(KeyframesTest, KeyframesInTenSecondsOrOverTheRateAreNoDrought) {
  SetCaps(kByteStream);
  SetRate(1, 60);
  for (guint64 frame = 0; frame < 1500; ++frame)
    frame % 250 == 0 ? PushKey(frame) : PushDelta(frame);
  EXPECT_EQ(FramesOut(), std::vector<guint64>{0});
  // A seek is no time without a keyframe.
  GstSegment segment = TimeSegment();
  segment.start = 5000 * kFrame;
  Segment(segment);
  for (guint64 frame = 5000; frame < 5200; ++frame) PushDelta(frame);
  EXPECT_TRUE(Warnings().empty());
}

TEST_F(KeyframesTest, DroughtsAreSeenWithoutTimesToo) {
  SetCaps(kByteStream);
  for (int frame = 0; frame < 301; ++frame) Push(AnnexB({h264::P()}), GST_CLOCK_TIME_NONE);
  EXPECT_EQ(Warnings().size(), 1u);
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
      GapsOut();  // all that was dropped, also what is shown behind the next picture
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
