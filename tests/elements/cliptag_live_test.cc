// mode=live: frames are never held back, the newest tags ride along, one frame waits at most.
#include <atomic>
#include <thread>

#include "tests/elements/cliptag_fixture.h"

namespace cliptag::test {
namespace {

class LiveTest : public ClipTagTest {
 protected:
  void SetUp() override {
    ClipTagTest::SetUp();
    Set("mode", "live");
    Fake().SetScore([](const std::string&, uint64_t frame) { return frame / 100.0; });
  }

  guint64 SkippedStill() {
    GstStructure* stats = nullptr;
    g_object_get(element_, "stats", &stats, nullptr);
    const guint64 skipped = FieldOf(stats, "skipped-still");
    gst_structure_free(stats);
    return skipped;
  }

  static guint64 FieldOf(const GstStructure* structure, const char* field) {
    guint64 value = GST_CLOCK_TIME_NONE;
    EXPECT_TRUE(gst_structure_get_uint64(structure, field, &value)) << field;
    return value;
  }
};

TEST_F(LiveTest, AFramePassesWhileTheEngineIsBusyAndOneWaitsAtMost) {
  PlayAndWait();
  Fake().Hold();
  for (guint64 n = 0; n < 50; ++n) {
    const BufferHolder out = Through(n);
    ASSERT_TRUE(out) << n;
    EXPECT_EQ(MetaOf(out.get()), nullptr);
  }
  EXPECT_EQ(Fake().answered(), 0u);
  Fake().Release();
  ASSERT_TRUE(WaitFor([] { return Fake().answered() == 1; })) << "all but the newest were replaced";
  const BufferHolder out = Through(50);
  const GstStructure* meta = MetaOf(out.get());
  ASSERT_NE(meta, nullptr);
  EXPECT_EQ(FieldOf(meta, "frame"), 49u);
  EXPECT_EQ(FieldOf(meta, "pts"), 49 * kFrame);
  EXPECT_EQ(FieldOf(meta, "age"), kFrame);
}

TEST_F(LiveTest, TheNewestTagsRideAlongAndTheirAgeGrows) {
  Set("interval", "100");
  PlayAndWait();
  Through(0);
  ASSERT_TRUE(WaitFor([] { return Fake().answered() == 1; }));
  for (guint64 n = 1; n < 10; ++n) {
    const BufferHolder out = Through(n);
    const GstStructure* meta = MetaOf(out.get());
    ASSERT_NE(meta, nullptr);
    EXPECT_EQ(FieldOf(meta, "age"), n * kFrame);
    EXPECT_EQ(FieldOf(meta, "frame"), 0u);
  }
  EXPECT_EQ(PopElementMessages(bus_, "cliptag").size(), 1u) << "one per inference";
}

// Their regions would be of other pixels.
TEST_F(LiveTest, TagsOfFramesOfAnotherSizeDoNotRideAlong) {
  Set("interval", "100");
  PlayAndWait();
  Through(0);
  ASSERT_TRUE(WaitFor([] { return Fake().answered() == 1; }));
  EXPECT_NE(MetaOf(Through(1).get()), nullptr);
  gst_harness_set_src_caps_str(harness_, CapsOf("GRAY8", 32, 8).c_str());
  ASSERT_EQ(gst_harness_push(harness_, MakeFrame(2, 32 * 8)), GST_FLOW_OK);
  EXPECT_EQ(MetaOf(Pull().get()), nullptr);
}

TEST_F(LiveTest, TheFrameThatIsLookedAtKeepsItsMemory) {
  PlayAndWait();
  Fake().Hold();
  GstBuffer* frame = MakeFrame(3);
  GstMemory* memory = gst_buffer_peek_memory(frame, 0);
  ASSERT_EQ(gst_harness_push(harness_, frame), GST_FLOW_OK);
  BufferHolder out = Pull();
  EXPECT_EQ(gst_buffer_peek_memory(out.get(), 0), memory);
  // Whoever writes to it now gets pixels of his own.
  GstBuffer* writable = gst_buffer_make_writable(gst_buffer_ref(out.get()));
  gst_buffer_memset(writable, 0, 99, gst_buffer_get_size(writable));
  gst_buffer_unref(writable);
  Fake().Release();
  ASSERT_TRUE(WaitFor([] { return Fake().answered() == 1; }));
  EXPECT_EQ(Fake().seen()[0].luma_like, 3);
}

TEST_F(LiveTest, NothingOfBeforeAFlushArrivesAfterIt) {
  PlayAndWait();
  Fake().SetLatency(std::chrono::milliseconds(30));
  for (guint64 n = 0; n < 5; ++n) Through(n);
  gst_harness_push_event(harness_, gst_event_new_flush_start());
  gst_harness_push_event(harness_, gst_event_new_flush_stop(TRUE));
  PopElementMessages(bus_, "cliptag");
  GstSegment segment;
  gst_segment_init(&segment, GST_FORMAT_TIME);
  gst_harness_push_event(harness_, gst_event_new_segment(&segment));
  Set("interval", "1000");  // frame 0 of the new segment alone is looked at
  Fake().Hold();
  for (guint64 n = 0; n < 5; ++n) EXPECT_EQ(MetaOf(Through(n).get()), nullptr);
  EXPECT_TRUE(PopElementMessages(bus_, "cliptag").empty());
}

TEST_F(LiveTest, TheEndWaitsForTheLastAnswerAndEndsWhatIsActive) {
  Fake().SetScore([](const std::string&, uint64_t) { return 0.9; });
  PlayAndWait();
  Fake().SetLatency(std::chrono::milliseconds(50));
  Through(0);
  ASSERT_TRUE(gst_harness_push_event(harness_, gst_event_new_eos()));
  std::vector<std::string> names;
  for (const MessagePtr& message : PopMessages(bus_, GST_MESSAGE_ELEMENT))
    names.push_back(gst_structure_get_name(gst_message_get_structure(message.get())));
  EXPECT_EQ(names, (std::vector<std::string>{"cliptag", "cliptag-event", "cliptag-event",
                                             "cliptag-event", "cliptag-event"}))
      << "the answer, two tags that start, and both end";
}

TEST_F(LiveTest, AddsNoLatency) {
  PlayAndWait();
  Through(0);
  gst_harness_set_upstream_latency(harness_, 20 * GST_MSECOND);
  EXPECT_EQ(gst_harness_query_latency(harness_), 20 * GST_MSECOND);
  Set("mode", "exact");
  EXPECT_GT(gst_harness_query_latency(harness_), 20 * GST_MSECOND);
}

TEST_F(LiveTest, AutoIsLiveInALivePipeline) {
  Set("mode", "auto");
  PlayAndWait();
  Fake().Hold();  // an exact frame would not come out
  for (guint64 n = 0; n < 20; ++n) ASSERT_TRUE(Through(n));
  EXPECT_TRUE(Fake().seen()[0].replace);
}

TEST_F(LiveTest, FramesPassUntaggedWhilePromptsAreEncoded) {
  Fake().HoldPrompts();
  Play();
  for (guint64 n = 0; n < 5; ++n) EXPECT_EQ(MetaOf(Through(n).get()), nullptr);
  EXPECT_TRUE(Fake().seen().empty());
  Fake().ReleasePrompts();
  ASSERT_TRUE(WaitFor([] { return Fake().prompts_set() == 1; }));
  ASSERT_TRUE(WaitFor([&] {
    Through(5);
    return !Fake().seen().empty();
  }));
}

TEST_F(LiveTest, ModeMayChangeWhilePlayingWithoutReordering) {
  PlayAndWait();
  Fake().SetLatency(std::chrono::milliseconds(2));
  std::atomic<bool> stop{false};
  std::thread changer([&] {
    for (int i = 0; !stop; ++i) {
      Set("mode", i % 2 ? "live" : "exact");
      std::this_thread::sleep_for(std::chrono::milliseconds(3));
    }
  });
  std::thread upstream([&] {
    for (guint64 n = 0; n < 200; ++n) EXPECT_EQ(Push(n), GST_FLOW_OK);
  });
  for (guint64 n = 0; n < 200; ++n) {
    const BufferHolder out = Pull();
    ASSERT_TRUE(out);
    EXPECT_EQ(GST_BUFFER_PTS(out.get()), n * kFrame);
  }
  upstream.join();
  stop = true;
  changer.join();
}

TEST_F(LiveTest, AStillPictureIsNotLookedAtAgain) {
  Set("still-threshold", "0.01");
  PlayAndWait();
  const auto push = [&](guint64 n, guint8 grey) {
    GstBuffer* frame = MakeFrame(n);
    gst_buffer_memset(frame, 0, grey, 16 * 8);
    EXPECT_EQ(gst_harness_push(harness_, frame), GST_FLOW_OK);
    return Pull();
  };
  push(0, 100);
  ASSERT_TRUE(WaitFor([] { return Fake().answered() == 1; }));
  for (guint64 n = 1; n < 10; ++n) {
    const BufferHolder out = push(n, static_cast<guint8>(100 + n % 2));
    ASSERT_NE(MetaOf(out.get()), nullptr);
    EXPECT_EQ(FieldOf(MetaOf(out.get()), "age"), n * kFrame);
  }
  EXPECT_EQ(Fake().seen().size(), 1u);
  push(10, 110);
  ASSERT_TRUE(WaitFor([] { return Fake().answered() == 2; }));
}

TEST_F(LiveTest, AStillPictureKeepsItsTagsInExactModeToo) {
  Set("mode", "exact");
  Set("still-threshold", "0.01");
  PlayAndWait();
  for (guint64 n = 0; n < 10; ++n) {
    GstBuffer* frame = MakeFrame(n);
    gst_buffer_memset(frame, 0, 100, 16 * 8);
    ASSERT_EQ(gst_harness_push(harness_, frame), GST_FLOW_OK);
  }
  for (guint64 n = 0; n < 10; ++n) {
    const BufferHolder out = Pull();
    ASSERT_NE(MetaOf(out.get()), nullptr) << n;
    EXPECT_EQ(FieldOf(MetaOf(out.get()), "frame"), 0u);
    EXPECT_EQ(FieldOf(MetaOf(out.get()), "age"), n * kFrame);
  }
  EXPECT_EQ(Fake().seen().size(), 1u);
}

// What is seen stands, but time goes on: thresholds, waits and prompts apply to still frames, too.
TEST_F(LiveTest, OnAStillPictureTagsStillBecomeActive) {
  for (const char* mode : {"exact", "live"}) {
    SCOPED_TRACE(mode);
    Set("mode", mode);
    Set("still-threshold", "0.01");
    Set("threshold", "0.5");
    Fake().SetScore([](const std::string&, uint64_t) { return 0.4; });
    PlayAndWait();
    const auto push = [&](guint64 n) {
      GstBuffer* frame = MakeFrame(n);
      gst_buffer_memset(frame, 0, 100, 16 * 8);
      EXPECT_EQ(gst_harness_push(harness_, frame), GST_FLOW_OK);
      return Pull();
    };
    push(0);
    ASSERT_TRUE(WaitFor([] { return Fake().answered() == 1; }));
    Set("threshold", "0.3");
    push(1);
    std::vector<std::string> names;
    ASSERT_TRUE(WaitFor([&] {
      for (const MessagePtr& message : PopMessages(bus_, GST_MESSAGE_ELEMENT))
        names.push_back(gst_structure_get_name(gst_message_get_structure(message.get())));
      return names.size() >= 3;
    }));
    EXPECT_EQ(names, (std::vector<std::string>{"cliptag", "cliptag-event", "cliptag-event"}))
        << "one look, and both tags start on a frame that was not looked at";
    const BufferHolder out = push(2);
    const GstStructure* meta = MetaOf(out.get());
    ASSERT_NE(meta, nullptr);
    EXPECT_EQ(FieldOf(meta, "age"), 2 * kFrame);
    const GValue* tags = gst_structure_get_value(meta, "tags");
    gboolean active = FALSE;
    gst_structure_get_boolean(gst_value_get_structure(gst_value_list_get_value(tags, 0)), "active",
                              &active);
    EXPECT_TRUE(active);
    EXPECT_EQ(Fake().seen().size(), 1u);
    ASSERT_TRUE(WaitFor([&] { return SkippedStill() == 2; }));
    TearDown();
    harness_ = nullptr;
    SetUp();
  }
}

TEST_F(LiveTest, AStillPictureThatIsToBeSeenOtherwiseIsLookedAtAgain) {
  Set("mode", "exact");
  Set("still-threshold", "0.01");
  PlayAndWait();
  const auto push = [&](guint64 n) {
    GstBuffer* frame = MakeFrame(n);
    gst_buffer_memset(frame, 0, 100, 16 * 8);
    EXPECT_EQ(gst_harness_push(harness_, frame), GST_FLOW_OK);
    Pull();
    return Fake().seen().size();
  };
  EXPECT_EQ(push(0), 1u);
  EXPECT_EQ(push(1), 1u);
  Set("orientation", "rotate-90");
  EXPECT_EQ(push(2), 2u);
  EXPECT_EQ(Fake().seen().back().view.orientation, Orientation::kRotate90);
  EXPECT_EQ(push(3), 2u);
  Set("fit", "tiles");
  EXPECT_EQ(push(4), 3u);
}

TEST_F(LiveTest, AFrameThatFailedIsNotWhatOthersAreStillAs) {
  Set("still-threshold", "0.01");
  PlayAndWait();
  Fake().SetInferStatus(Internal("no"));
  const auto push = [&](guint64 n) {
    GstBuffer* frame = MakeFrame(n);
    gst_buffer_memset(frame, 0, 100, 16 * 8);
    EXPECT_EQ(gst_harness_push(harness_, frame), GST_FLOW_OK);
    Pull();
  };
  push(0);
  ASSERT_TRUE(WaitFor([] { return Fake().answered() == 1; }));
  Fake().SetInferStatus({});
  push(1);
  EXPECT_EQ(Fake().seen().size(), 2u);
}

TEST_F(LiveTest, LateDownstreamSkipsInferenceNeverFrames) {
  PlayAndWait();
  Through(0);
  ASSERT_TRUE(WaitFor([] { return Fake().answered() == 1; }));
  // Frame 0 came 200 ms late: until 400 ms nothing is looked at.
  gst_harness_push_upstream_event(
      harness_, gst_event_new_qos(GST_QOS_TYPE_UNDERFLOW, 2.0, 200 * GST_MSECOND, 0));
  for (guint64 n = 1; n < 10; ++n) ASSERT_TRUE(Through(n));
  EXPECT_EQ(Fake().seen().size(), 1u);
  Through(10);
  EXPECT_EQ(Fake().seen().size(), 2u);
  // However late, one frame a second is looked at.
  gst_harness_push_upstream_event(
      harness_, gst_event_new_qos(GST_QOS_TYPE_UNDERFLOW, 2.0, 100 * GST_SECOND, 0));
  for (guint64 n = 11; n < 61; ++n) ASSERT_TRUE(Through(n));
  EXPECT_EQ(Fake().seen().size(), 4u);
}

TEST_F(LiveTest, InExactModeALateSinkCostsNoLookUnlessThatIsAskedFor) {
  Set("mode", "exact");
  PlayAndWait();
  Through(0);
  gst_harness_push_upstream_event(
      harness_, gst_event_new_qos(GST_QOS_TYPE_UNDERFLOW, 2.0, 100 * GST_SECOND, 0));
  for (guint64 n = 1; n < 51; ++n) EXPECT_NE(MetaOf(Through(n).get()), nullptr) << n;
  EXPECT_EQ(Fake().seen().size(), 51u);
  const auto told_upstream = [this] {
    int told = 0;
    while (GstEvent* event = gst_harness_try_pull_upstream_event(harness_)) {
      told += GST_EVENT_TYPE(event) == GST_EVENT_QOS ? 1 : 0;
      gst_event_unref(event);
    }
    return told;
  };
  EXPECT_EQ(told_upstream(), 0) << "a decoder would leave out frames";
  Set("qos", "true");
  gst_harness_push_upstream_event(
      harness_, gst_event_new_qos(GST_QOS_TYPE_UNDERFLOW, 2.0, 100 * GST_SECOND, 0));
  EXPECT_EQ(told_upstream(), 1);
  for (guint64 n = 51; n < 101; ++n) ASSERT_TRUE(Through(n));
  EXPECT_EQ(Fake().seen().size(), 53u) << "one a second";
}

TEST_F(LiveTest, ATooSlowMachineIsReportedOnceAndTheVideoFlows) {
  PlayAndWait();
  Fake().SetLatency(std::chrono::milliseconds(400));
  guint64 n = 0;
  std::vector<MessagePtr> told;
  ASSERT_TRUE(WaitFor([&] {
    EXPECT_TRUE(Through(n++));
    g_usleep(20'000);  // a camera's pace, twice over
    told = PopMessages(bus_, GST_MESSAGE_INFO);
    return !told.empty();
  }));
  ASSERT_EQ(told.size(), 1u);
  for (int more = 0; more < 50; ++more) ASSERT_TRUE(Through(n++));
  EXPECT_TRUE(PopMessages(bus_, GST_MESSAGE_INFO).empty());
  // All that gst-launch prints of it.
  gchar* debug = nullptr;
  gst_message_parse_info(told[0].get(), nullptr, &debug);
  EXPECT_NE(std::string(debug).find("The machine is too slow"), std::string::npos) << debug;
  g_free(debug);
  GstStructure* stats = nullptr;
  g_object_get(element_, "stats", &stats, nullptr);
  gboolean too_slow = FALSE;
  gdouble rate = 0;
  gst_structure_get(stats, "too-slow", G_TYPE_BOOLEAN, &too_slow, "rate", G_TYPE_DOUBLE, &rate,
                    nullptr);
  gst_structure_free(stats);
  EXPECT_TRUE(too_slow);
  EXPECT_GT(rate, 1.0);
  EXPECT_LT(rate, 4.0);
}

TEST_F(LiveTest, StopsAtTheWorstMoment) {
  for (int round = 0; round < 20; ++round) {
    Play();
    Fake().SetLatency(std::chrono::milliseconds(5));
    std::thread upstream([&] {
      for (guint64 n = 0; n < 50 && Push(n) == GST_FLOW_OK; ++n) {
      }
    });
    g_usleep(static_cast<gulong>(round) * 500);
    gst_element_set_state(element_, GST_STATE_NULL);
    upstream.join();
    TearDown();
    harness_ = nullptr;
    SetUp();
  }
}

}  // namespace
}  // namespace cliptag::test
