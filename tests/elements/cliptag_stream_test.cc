// How frames and events go through `cliptag`: order, deadlines, bounds, flushes, ends.
#include <atomic>
#include <mutex>
#include <thread>

#include "tests/elements/blocking_call.h"
#include "tests/elements/cliptag_fixture.h"

namespace cliptag::test {
namespace {

class StreamTest : public ClipTagTest {
 protected:
  void PullEos() {
    for (bool eos = false; !eos;) {
      GstEvent* event = gst_harness_pull_event(harness_);
      ASSERT_NE(event, nullptr) << "no end of stream";
      eos = GST_EVENT_TYPE(event) == GST_EVENT_EOS;
      gst_event_unref(event);
    }
  }
};

TEST_F(StreamTest, FramesLeaveInOrderTheSameMemoryEachWithItsOwnTags) {
  Fake().SetScore([](const std::string&, uint64_t frame) { return frame / 100.0; });
  Play();
  std::vector<GstMemory*> memories;
  std::thread upstream([&] {
    for (guint64 n = 0; n < 40; ++n) {
      GstBuffer* buffer = MakeFrame(n);
      memories.push_back(gst_buffer_peek_memory(buffer, 0));
      EXPECT_EQ(gst_harness_push(harness_, buffer), GST_FLOW_OK);
    }
  });
  std::vector<BufferHolder> out;
  for (guint64 n = 0; n < 40; ++n) {
    out.push_back(Pull());
    ASSERT_TRUE(out.back());
    EXPECT_EQ(GST_BUFFER_PTS(out.back().get()), n * kFrame);
    const GstStructure* meta = MetaOf(out.back().get());
    ASSERT_NE(meta, nullptr);
    guint64 frame = 0;
    ASSERT_TRUE(gst_structure_get_uint64(meta, "frame", &frame));
    EXPECT_EQ(frame, n);
    const GValue* tags = gst_structure_get_value(meta, "tags");
    gdouble score = -1;
    gst_structure_get_double(gst_value_get_structure(gst_value_list_get_value(tags, 0)), "score",
                             &score);
    EXPECT_DOUBLE_EQ(score, static_cast<double>(n) / 100);
  }
  upstream.join();
  for (size_t n = 0; n < 40; ++n) {
    EXPECT_EQ(gst_buffer_peek_memory(out[n].get(), 0), memories[n]) << "copied at " << n;
    EXPECT_EQ(Fake().seen()[n].luma_like, static_cast<int>(n));
  }
}

TEST_F(StreamTest, ASharedBufferKeepsItsMemoryAndTheOtherOwnersMetas) {
  Play();
  GstBuffer* buffer = MakeFrame(0);
  gst_buffer_ref(buffer);
  ASSERT_EQ(gst_harness_push(harness_, buffer), GST_FLOW_OK);
  const BufferHolder out = Pull();
  EXPECT_NE(out.get(), buffer);
  EXPECT_EQ(gst_buffer_peek_memory(out.get(), 0), gst_buffer_peek_memory(buffer, 0));
  EXPECT_NE(MetaOf(out.get()), nullptr);
  EXPECT_EQ(MetaOf(buffer), nullptr);
  gst_buffer_unref(buffer);
}

TEST_F(StreamTest, AFrameLeavesAtItsDeadlineWithoutAnother) {
  Set("batch-timeout", "30000000");
  Play();
  ASSERT_EQ(Push(0), GST_FLOW_OK);
  EXPECT_TRUE(Pull());  // of a batch of four that never fills
  EXPECT_EQ(Fake().batches(), std::vector<size_t>{1});
  EXPECT_EQ(Fake().seen()[0].batch_timeout_ns, 30'000'000u);
}

TEST_F(StreamTest, EventsKeepTheirPlaceBetweenFrames) {
  Play();
  Fake().Hold();
  while (GstEvent* event = gst_harness_try_pull_event(harness_)) gst_event_unref(event);
  ASSERT_EQ(Push(0), GST_FLOW_OK);
  GstEvent* custom =
      gst_event_new_custom(GST_EVENT_CUSTOM_DOWNSTREAM, gst_structure_new_empty("in-between"));
  // What arrives downstream, in its order. Locked for ThreadSanitizer, which does not see the
  // harness's queue.
  struct {
    std::mutex mutex;
    std::vector<std::string> names;
  } arrived;
  const gulong probe = gst_pad_add_probe(
      harness_->sinkpad,
      static_cast<GstPadProbeType>(GST_PAD_PROBE_TYPE_BUFFER | GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM),
      [](GstPad*, GstPadProbeInfo* info, gpointer user) {
        GstEvent* event = GST_PAD_PROBE_INFO_TYPE(info) & GST_PAD_PROBE_TYPE_BUFFER
                              ? nullptr
                              : GST_PAD_PROBE_INFO_EVENT(info);
        auto* const to = static_cast<decltype(arrived)*>(user);
        const std::lock_guard lock(to->mutex);
        to->names.push_back(event == nullptr                          ? "frame"
                            : gst_event_has_name(event, "in-between") ? "in-between"
                                                                      : GST_EVENT_TYPE_NAME(event));
        return GST_PAD_PROBE_OK;
      },
      &arrived, nullptr);
  ASSERT_TRUE(gst_harness_push_event(harness_, custom));
  Fake().Release();
  EXPECT_TRUE(Pull());
  gst_event_unref(gst_harness_pull_event(harness_));
  gst_pad_remove_probe(harness_->sinkpad, probe);
  const std::lock_guard lock(arrived.mutex);
  EXPECT_EQ(arrived.names, (std::vector<std::string>{"frame", "in-between"}));
}

TEST_F(StreamTest, EndOfStreamDrainsAtOnce) {
  Set("batch-timeout", "10000000000");
  Play();
  for (guint64 n = 0; n < 3; ++n) ASSERT_EQ(Push(n), GST_FLOW_OK);
  EXPECT_EQ(gst_harness_buffers_in_queue(harness_), 0u);
  const auto start = std::chrono::steady_clock::now();
  ASSERT_TRUE(gst_harness_push_event(harness_, gst_event_new_eos()));
  for (int n = 0; n < 3; ++n) EXPECT_TRUE(Pull());
  PullEos();
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
}

TEST_F(StreamTest, UpstreamBlocksAtTheBoundAndGoesOn) {
  Fake().max_batch = 2;
  Play();
  Fake().Hold();
  std::atomic<int> pushed{0};
  BlockingCall upstream([&] {
    for (guint64 n = 0; n < 8; ++n) {
      EXPECT_EQ(Push(n), GST_FLOW_OK);
      ++pushed;
    }
  });
  ASSERT_TRUE(WaitFor([&] { return pushed >= 4; }));
  EXPECT_TRUE(upstream.Blocks());
  EXPECT_EQ(pushed, 4) << "a batch, and one more that fills meanwhile";
  Fake().Release();
  for (int n = 0; n < 8; ++n) EXPECT_TRUE(Pull());
}

TEST_F(StreamTest, AFixedPoolOfThreeUpstreamDoesNotStarve) {
  Fake().max_batch = 8;
  Set("batch-timeout", "10000000000");  // only hurrying can get frames out
  Play();
  GstBufferPool* pool = gst_buffer_pool_new();
  GstStructure* config = gst_buffer_pool_get_config(pool);
  GstCaps* caps = gst_caps_from_string(CapsOf("GRAY8", 16, 8).c_str());
  gst_buffer_pool_config_set_params(config, caps, 16 * 8, 3, 3);
  gst_caps_unref(caps);
  ASSERT_TRUE(gst_buffer_pool_set_config(pool, config));
  ASSERT_TRUE(gst_buffer_pool_set_active(pool, TRUE));
  std::thread upstream([&] {
    for (guint64 n = 0; n < 20; ++n) {
      GstBuffer* buffer = nullptr;
      ASSERT_EQ(gst_buffer_pool_acquire_buffer(pool, &buffer, nullptr), GST_FLOW_OK);
      GST_BUFFER_PTS(buffer) = n * kFrame;
      ASSERT_EQ(gst_harness_push(harness_, buffer), GST_FLOW_OK);
    }
    gst_harness_push_event(harness_, gst_event_new_eos());
  });
  for (guint64 n = 0; n < 20; ++n) {
    const BufferHolder out = Pull();
    ASSERT_TRUE(out);
    EXPECT_EQ(GST_BUFFER_PTS(out.get()), n * kFrame);
  }
  upstream.join();
  gst_buffer_pool_set_active(pool, FALSE);
  gst_object_unref(pool);
}

TEST_F(StreamTest, IntervalLooksAtEveryNth) {
  Set("interval", "3");
  Play();
  for (guint64 n = 0; n < 7; ++n) EXPECT_EQ(MetaOf(Through(n).get()) != nullptr, n % 3 == 0) << n;
  Set("interval", "1");
  EXPECT_NE(MetaOf(Through(7).get()), nullptr);
}

TEST_F(StreamTest, MaxRateHoldsOnAverageAndAfterChanges) {
  Set("max-rate", "10/1");
  Play();
  for (guint64 n = 0; n < 50; ++n) Through(n);  // two seconds
  EXPECT_EQ(Fake().seen().size(), 20u);
  Set("max-rate", "1/10");
  for (guint64 n = 50; n < 60; ++n) Through(n);
  EXPECT_EQ(Fake().seen().size(), 21u);
  Set("max-rate", "25/1");  // not only after the ten seconds that were agreed
  for (guint64 n = 60; n < 65; ++n) Through(n);
  EXPECT_EQ(Fake().seen().size(), 26u);
}

TEST_F(StreamTest, FramesNotLookedAtGoStraightThroughButNeverOvertake) {
  Set("interval", "2");
  Play();
  Fake().Hold();
  ASSERT_EQ(Push(0), GST_FLOW_OK);
  ASSERT_EQ(Push(1), GST_FLOW_OK);
  Fake().Release();
  EXPECT_EQ(GST_BUFFER_PTS(Pull().get()), 0u);
  EXPECT_EQ(GST_BUFFER_PTS(Pull().get()), kFrame);
  // The task that pushed the last one may still be on its way back; this waits for it.
  GstQuery* drain = gst_query_new_drain();
  gst_pad_peer_query(harness_->srcpad, drain);
  gst_query_unref(drain);
  Set("interval", "1000");
  ASSERT_EQ(Push(3), GST_FLOW_OK);
  EXPECT_EQ(gst_harness_buffers_in_queue(harness_), 1u) << "pushed before chain returned";
}

TEST_F(StreamTest, AFlushDropsWhatIsHeldAndNothingFromBeforeComesAfter) {
  Play();
  Fake().SetScore([](const std::string&, uint64_t) { return 0.25; });
  Fake().Hold();
  for (guint64 n = 0; n < 3; ++n) ASSERT_EQ(Push(n), GST_FLOW_OK);
  ASSERT_TRUE(gst_harness_push_event(harness_, gst_event_new_flush_start()));
  EXPECT_EQ(Push(3), GST_FLOW_FLUSHING);
  ASSERT_TRUE(gst_harness_push_event(harness_, gst_event_new_flush_stop(TRUE)));
  EXPECT_EQ(Fake().cancelled(), 3u);
  Fake().SetScore([](const std::string&, uint64_t) { return 0.75; });
  Fake().Release();
  GstSegment segment;
  gst_segment_init(&segment, GST_FORMAT_TIME);
  ASSERT_TRUE(gst_harness_push_event(harness_, gst_event_new_segment(&segment)));
  ASSERT_EQ(Push(9), GST_FLOW_OK);
  const BufferHolder out = Pull();
  EXPECT_EQ(GST_BUFFER_PTS(out.get()), 9 * kFrame);
  guint64 frame = 99;
  gst_structure_get_uint64(MetaOf(out.get()), "frame", &frame);
  EXPECT_EQ(frame, 0u) << "counted since the last segment start";
  EXPECT_EQ(PopElementMessages(bus_, "cliptag").size(), 1u);
}

TEST_F(StreamTest, AFlushWakesUpstreamThatIsBlocked) {
  Fake().max_batch = 1;
  Play();
  Fake().Hold();
  std::atomic<GstFlowReturn> last{GST_FLOW_OK};
  BlockingCall upstream([&] {
    for (guint64 n = 0; n < 10 && last == GST_FLOW_OK; ++n) last = Push(n);
  });
  EXPECT_TRUE(upstream.Blocks());
  gst_pad_push_event(harness_->srcpad, gst_event_new_flush_start());
  upstream.Join();
  EXPECT_EQ(last, GST_FLOW_FLUSHING);
  gst_pad_push_event(harness_->srcpad, gst_event_new_flush_stop(TRUE));
}

TEST_F(StreamTest, FlushesAtAnyMoment) {
  Fake().SetLatency(std::chrono::milliseconds(2));
  Play();
  std::atomic<bool> stop{false};
  std::mutex
      streaming;  // as a source's stream lock: nothing between the end of a flush and the segment
  std::thread upstream([&] {
    guint64 n = 0;
    while (!stop) {
      {
        const std::lock_guard lock(streaming);
        if (Push(n) == GST_FLOW_OK) ++n;
      }
      std::this_thread::sleep_for(std::chrono::microseconds(50));
    }
  });
  GstSegment segment;
  gst_segment_init(&segment, GST_FORMAT_TIME);
  for (int i = 0; i < 60; ++i) {
    std::this_thread::sleep_for(std::chrono::microseconds(137 * (i % 17)));
    gst_pad_push_event(harness_->srcpad, gst_event_new_flush_start());
    {
      const std::lock_guard lock(streaming);
      gst_pad_push_event(harness_->srcpad, gst_event_new_flush_stop(TRUE));
      gst_pad_push_event(harness_->srcpad, gst_event_new_segment(&segment));
    }
    while (GstBuffer* buffer = gst_harness_try_pull(harness_)) gst_buffer_unref(buffer);
  }
  EXPECT_TRUE(WaitFor([&] {
    GstBuffer* buffer = gst_harness_try_pull(harness_);
    if (buffer != nullptr) gst_buffer_unref(buffer);
    return buffer != nullptr;
  })) << "frames flow after the last flush";
  stop = true;
  upstream.join();
}

TEST_F(StreamTest, StoppingWhileUpstreamIsBlockedReturns) {
  Fake().max_batch = 1;
  Play();
  Fake().Hold();
  BlockingCall upstream([&] {
    while (Push(0) == GST_FLOW_OK) continue;
  });
  EXPECT_TRUE(upstream.Blocks());
  ASSERT_EQ(gst_element_set_state(element_, GST_STATE_READY), GST_STATE_CHANGE_SUCCESS);
}

TEST_F(StreamTest, ErrorsOfDownstreamReachUpstream) {
  Play();
  gst_pad_set_chain_function(harness_->sinkpad, [](GstPad*, GstObject*, GstBuffer* buffer) {
    gst_buffer_unref(buffer);
    return GST_FLOW_ERROR;
  });
  ASSERT_EQ(Push(0), GST_FLOW_OK);
  GstFlowReturn flow = GST_FLOW_OK;
  EXPECT_TRUE(WaitFor([&] {
    flow = Push(1);
    return flow != GST_FLOW_OK;
  }));
  EXPECT_EQ(flow, GST_FLOW_ERROR);
  EXPECT_FALSE(gst_harness_push_event(harness_, gst_event_new_eos()));
  EXPECT_EQ(Errors().size(), 1u) << "the end would never come out: someone has to say so";
}

TEST_F(StreamTest, DownstreamThatHasEnoughStillGetsTheEnd) {
  Play();
  gst_pad_set_chain_function(harness_->sinkpad, [](GstPad*, GstObject*, GstBuffer* buffer) {
    gst_buffer_unref(buffer);
    return GST_FLOW_EOS;
  });
  Fake().Hold();
  for (guint64 n = 0; n < 3; ++n) ASSERT_EQ(Push(n), GST_FLOW_OK);
  ASSERT_TRUE(gst_harness_push_event(harness_, gst_event_new_eos()));
  Fake().Release();
  PullEos();
  EXPECT_EQ(Push(3), GST_FLOW_EOS);
  EXPECT_TRUE(Errors().empty());
}

TEST_F(StreamTest, CapsChangeInTheMiddle) {
  Play();
  Fake().Hold();
  ASSERT_EQ(Push(0), GST_FLOW_OK);
  gst_harness_set_src_caps_str(harness_, CapsOf("RGB", 5, 3).c_str());
  ASSERT_EQ(gst_harness_push(harness_, MakeFrame(1, 16 * 3)), GST_FLOW_OK);
  Fake().Release();
  EXPECT_EQ(gst_buffer_get_size(Pull().get()), 128u);
  EXPECT_EQ(gst_buffer_get_size(Pull().get()), 48u);
  const auto seen = Fake().seen();
  ASSERT_EQ(seen.size(), 2u);
  EXPECT_EQ(seen[0].view.kind, PixelKind::kGray);
  EXPECT_EQ(seen[0].view.width, 16);
  EXPECT_EQ(seen[1].view.kind, PixelKind::kRgb);
  EXPECT_EQ(seen[1].view.width, 5);
}

TEST_F(StreamTest, AFrameThatIsTooSmallPassesWithOneWarning) {
  Play();
  for (guint64 n = 0; n < 3; ++n) {
    ASSERT_EQ(gst_harness_push(harness_, MakeFrame(n, 5)), GST_FLOW_OK);
    EXPECT_EQ(MetaOf(Pull().get()), nullptr);
  }
  EXPECT_EQ(Warnings().size(), 1u);
  EXPECT_NE(MetaOf(Through(4).get()), nullptr);
}

TEST_F(StreamTest, AFailingModelLetsFramesPassWithOneWarning) {
  Play();
  Fake().SetInferStatus(Internal("The model has a cold"));
  for (guint64 n = 0; n < 3; ++n) {
    EXPECT_EQ(MetaOf(Through(n).get()), nullptr);
  }
  const auto warnings = Warnings();
  ASSERT_EQ(warnings.size(), 1u);
  EXPECT_NE(warnings[0].find("The model has a cold. The frame passes without tags."),
            std::string::npos)
      << warnings[0];
  Fake().SetInferStatus({});
  EXPECT_NE(MetaOf(Through(3).get()), nullptr);
}

TEST_F(StreamTest, TheChromaSiteOfTheCapsCounts) {
  Play(CapsOf("I420", 16, 8) + ",chroma-site=mpeg2");
  ASSERT_EQ(gst_harness_push(harness_, MakeFrame(0, 16 * 8 * 3 / 2)), GST_FLOW_OK);
  Pull();
  gst_harness_set_src_caps_str(harness_, (CapsOf("I420", 16, 8) + ",chroma-site=jpeg").c_str());
  ASSERT_EQ(gst_harness_push(harness_, MakeFrame(1, 16 * 8 * 3 / 2)), GST_FLOW_OK);
  Pull();
  EXPECT_TRUE(Fake().seen()[0].view.chroma_cosited_x);
  EXPECT_FALSE(Fake().seen()[1].view.chroma_cosited_x);
}

TEST_F(StreamTest, TimePassesWithoutTimestamps) {
  Set("interval", "2");
  PlayAndWait();
  for (guint64 n = 0; n < 5; ++n) {
    ASSERT_EQ(gst_harness_push(harness_, MakeFrame(n, 16 * 8, GST_CLOCK_TIME_NONE)), GST_FLOW_OK);
    Pull();
  }
  const auto seen = Fake().seen();
  ASSERT_EQ(seen.size(), 3u);
  EXPECT_EQ(seen[1].at.pts_ns - seen[0].at.pts_ns, 2 * kFrame);
  EXPECT_EQ(seen[2].at.pts_ns - seen[1].at.pts_ns, 2 * kFrame);
}

// A buffer that comes before its segment is of none: not of memory as it was found, nor of the
// segment of the run before.
TEST_F(StreamTest, ABufferBeforeAnySegmentHasNoStreamTime) {
  GstElement* sink = gst_element_factory_make("fakesink", nullptr);
  g_object_set(sink, "async", FALSE, "sync", FALSE, nullptr);
  GstElement* pipeline = gst_pipeline_new(nullptr);
  gst_bin_add_many(GST_BIN(pipeline), element_, sink, nullptr);
  ASSERT_TRUE(gst_element_link(element_, sink));
  GstPad* sink_pad = gst_element_get_static_pad(element_, "sink");
  std::vector<guint64> stream_times;
  for (const bool with_segment : {true, false}) {
    GstPad* pad = gst_pad_new("src", GST_PAD_SRC);
    gst_pad_set_active(pad, TRUE);
    gst_element_set_state(pipeline, GST_STATE_PLAYING);
    ASSERT_EQ(gst_pad_link(pad, sink_pad), GST_PAD_LINK_OK);
    gst_pad_push_event(pad, gst_event_new_stream_start("a"));
    GstCaps* caps = gst_caps_from_string(CapsOf("GRAY8", 16, 8).c_str());
    gst_pad_push_event(pad, gst_event_new_caps(caps));
    gst_caps_unref(caps);
    GstSegment segment;
    gst_segment_init(&segment, GST_FORMAT_TIME);
    if (with_segment) gst_pad_push_event(pad, gst_event_new_segment(&segment));
    EXPECT_EQ(gst_pad_push(pad, MakeFrame(3)), GST_FLOW_OK);
    gst_pad_push_event(pad, gst_event_new_eos());  // through when the frame is
    GstBus* bus = gst_element_get_bus(pipeline);
    GstMessage* told = nullptr;
    ASSERT_TRUE(WaitFor([&] {
      told = gst_bus_pop_filtered(bus, GST_MESSAGE_ELEMENT);
      return told != nullptr;
    }));
    guint64 stream_time = 0;
    gst_structure_get_uint64(gst_message_get_structure(told), "stream-time", &stream_time);
    stream_times.push_back(stream_time);
    gst_message_unref(told);
    gst_element_set_state(pipeline, GST_STATE_NULL);
    gst_object_unref(bus);
    gst_pad_unlink(pad, sink_pad);
    gst_object_unref(pad);
  }
  EXPECT_EQ(stream_times, (std::vector<guint64>{3 * kFrame, GST_CLOCK_TIME_NONE}));
  gst_object_unref(sink_pad);
  gst_object_unref(pipeline);
}

TEST_F(StreamTest, CapsNeedNoFramerate) {
  Play("video/x-raw,format=GRAY8,width=16,height=8");
  ASSERT_TRUE(WaitFor([] { return Fake().prompts_set() == 1; }));
  for (guint64 n = 0; n < 3; ++n) EXPECT_NE(MetaOf(Through(n).get()), nullptr) << n;
}

TEST_F(StreamTest, CropMetaAndOrientationReachTheEngine) {
  Play();
  GstBuffer* buffer = MakeFrame(0);
  GstVideoCropMeta* crop = gst_buffer_add_video_crop_meta(buffer);
  crop->x = 2;
  crop->y = 1;
  crop->width = 9;
  crop->height = 5;
  ASSERT_EQ(gst_harness_push(harness_, buffer), GST_FLOW_OK);
  Pull();
  const auto tag = [&](GstTagScope scope, const char* orientation) {
    GstTagList* tags = gst_tag_list_new(GST_TAG_IMAGE_ORIENTATION, orientation, nullptr);
    gst_tag_list_set_scope(tags, scope);
    EXPECT_TRUE(gst_harness_push_event(harness_, gst_event_new_tag(tags)));
  };
  guint64 n = 1;
  const auto orientation = [&] {
    EXPECT_EQ(Push(n++), GST_FLOW_OK);
    Pull();
    return Fake().seen().back().view.orientation;
  };
  EXPECT_EQ(orientation(), Orientation::kRotate0);
  tag(GST_TAG_SCOPE_GLOBAL, "rotate-90");
  EXPECT_EQ(orientation(), Orientation::kRotate90);
  tag(GST_TAG_SCOPE_STREAM, "flip-rotate-180");
  EXPECT_EQ(orientation(), Orientation::kFlipRotate180);
  tag(GST_TAG_SCOPE_GLOBAL, "rotate-270");
  EXPECT_EQ(orientation(), Orientation::kFlipRotate180) << "the stream's own tag wins";
  ASSERT_TRUE(gst_harness_push_event(harness_, gst_event_new_stream_start("another")));
  EXPECT_EQ(orientation(), Orientation::kRotate0) << "tags belong to a stream";

  const FrameView first = Fake().seen()[0].view;
  EXPECT_EQ(first.crop.x, 2);
  EXPECT_EQ(first.crop.y, 1);
  EXPECT_EQ(first.crop.width, 9);
  EXPECT_EQ(first.crop.height, 5);
}

}  // namespace
}  // namespace cliptag::test
