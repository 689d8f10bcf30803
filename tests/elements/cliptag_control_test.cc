// Start and stop, properties, queries of `cliptag`.

#include "plugin/elements/meta/gstcliptagmeta.h"
#include "tests/elements/blocking_call.h"
#include "tests/elements/cliptag_fixture.h"

namespace cliptag::test {
namespace {

class ControlTest : public ClipTagTest {};

// --- starting

TEST_F(ControlTest, StartErrorsAreSentences) {
  Set("prompts", "");
  EXPECT_NE(FailedStart().find("There are no prompts"), std::string::npos);
  Set("prompts", "cat;;dog");
  EXPECT_NE(FailedStart().find("empty"), std::string::npos);
  Set("prompts", "cat");
  Set("prompts-file", "/nonexistent/prompts.json");
  EXPECT_NE(FailedStart().find("/nonexistent/prompts.json"), std::string::npos);
  Set("prompts-file", "");
  Fake().create_status = NotFound("There is no model bogus.");
  EXPECT_EQ(FailedStart(), "There is no model bogus.");
  Fake().create_status = {};
  EXPECT_EQ(gst_element_set_state(element_, GST_STATE_PAUSED), GST_STATE_CHANGE_SUCCESS)
      << "a failed start leaves nothing behind";
}

TEST_F(ControlTest, AStartThatFailsHalfWayLeavesNothingBehind) {
  for (bool* throws : {&Fake().throws_at_stream, &Fake().throws_at_prompts}) {
    *throws = true;
    EXPECT_NE(FailedStart().find("memory"), std::string::npos);
    EXPECT_EQ(Fake().streams_alive(), 0);
    EXPECT_EQ(Fake().engines_alive(), 0);
    Set("precision", "fp32");  // which is refused while it runs
    EXPECT_TRUE(Warnings().empty());
    *throws = false;
    EXPECT_EQ(gst_element_set_state(element_, GST_STATE_PAUSED), GST_STATE_CHANGE_SUCCESS);
    gst_element_set_state(element_, GST_STATE_NULL);
  }
}

TEST_F(ControlTest, WhatContradictsAModelsNameIsToldOnce) {
  Fake().model_warnings = {"The model x is by its name y.", "And z."};
  Play();
  EXPECT_EQ(Push(0), GST_FLOW_OK);
  EXPECT_NE(MetaOf(Pull().get()), nullptr);
  EXPECT_EQ(Push(1), GST_FLOW_OK);
  EXPECT_EQ(Warnings(), Fake().model_warnings);
  EXPECT_TRUE(Errors().empty());
}

TEST_F(ControlTest, PromptsThatCannotBeEncodedStopTheStream) {
  Set("prompts", kUnencodable);
  Play();
  EXPECT_EQ(Push(0), GST_FLOW_ERROR);
  const auto errors = Errors();
  ASSERT_EQ(errors.size(), 1u);
  EXPECT_NE(errors[0].find("cannot be encoded"), std::string::npos);
}

TEST_F(ControlTest, TheFirstFrameWaitsForThePrompts) {
  Fake().HoldPrompts();
  Play();
  BlockingCall upstream([&] { EXPECT_EQ(Push(0), GST_FLOW_OK); });
  EXPECT_TRUE(upstream.Blocks());
  Fake().ReleasePrompts();
  upstream.Join();
  EXPECT_NE(MetaOf(Pull().get()), nullptr);
}

TEST_F(ControlTest, StoppingWhilePromptsAreEncoded) {
  Fake().HoldPrompts();
  Play();
  BlockingCall upstream([&] { EXPECT_EQ(Push(0), GST_FLOW_FLUSHING); });
  EXPECT_TRUE(upstream.Blocks());
  EXPECT_EQ(gst_element_set_state(element_, GST_STATE_READY), GST_STATE_CHANGE_SUCCESS);
}

TEST_F(ControlTest, FiftyStateCyclesWithFramesInFlight) {
  Fake().SetLatency(std::chrono::milliseconds(1));
  Play();
  for (int i = 0; i < 50; ++i) {
    if (i % 3 == 0) {
      EXPECT_EQ(Push(static_cast<guint64>(i)), GST_FLOW_OK);
    }
    if (i % 5 == 0) {
      while (GstBuffer* buffer = gst_harness_try_pull(harness_)) gst_buffer_unref(buffer);
    }
    ASSERT_EQ(gst_element_set_state(element_, i % 2 ? GST_STATE_NULL : GST_STATE_READY),
              GST_STATE_CHANGE_SUCCESS);
    EXPECT_EQ(Fake().engines_alive(), 0);
    ASSERT_EQ(gst_element_set_state(element_, GST_STATE_PLAYING), GST_STATE_CHANGE_SUCCESS);
    gst_harness_push_event(harness_, gst_event_new_stream_start("again"));
    gst_harness_set_src_caps_str(harness_, CapsOf("GRAY8", 16, 8).c_str());
  }
}

// --- properties

TEST_F(ControlTest, FixedPropertiesReachTheEngineAndStayThen) {
  Set("model", "somewhere/else");
  Set("backend", "cpu");
  Set("device", "3");
  Set("precision", "bf16");
  Set("threads", "2");
  Set("max-batch", "6");
  PlayAndWait();
  const EngineOptions options = Fake().options();
  EXPECT_EQ(options.model, "somewhere/else");
  EXPECT_EQ(options.backend.kind, BackendKind::kCpu);
  EXPECT_EQ(options.backend.device, 3);
  EXPECT_EQ(options.backend.precision, Precision::kBf16);
  EXPECT_EQ(options.backend.threads, 2);
  EXPECT_EQ(options.max_batch, 6);
  Set("model", "other");
  const auto warnings = Warnings();
  ASSERT_EQ(warnings.size(), 1u);
  EXPECT_NE(warnings[0].find("model"), std::string::npos);
  gchar* model = nullptr;
  g_object_get(element_, "model", &model, nullptr);
  EXPECT_STREQ(model, "somewhere/else");
  g_free(model);
}

TEST_F(ControlTest, PolicyChangesWhilePlaying) {
  Set("threshold", "0.7");
  PlayAndWait();
  EXPECT_DOUBLE_EQ(Fake().policy().threshold, 0.7);
  Set("threshold", "0.25");
  Set("off-threshold", "0.125");
  Set("temperature", "0.5");
  Set("scoring", "softmax");
  Set("smoothing", "1500000000");
  Set("min-duration", "2000000000");
  Set("top-k", "1");
  const PolicyOptions policy = Fake().policy();
  EXPECT_DOUBLE_EQ(policy.threshold, 0.25);
  EXPECT_DOUBLE_EQ(policy.off_threshold, 0.125);
  EXPECT_DOUBLE_EQ(policy.temperature, 0.5);
  EXPECT_EQ(policy.scoring, Scoring::kSoftmax);
  EXPECT_EQ(policy.smoothing_ns, 1'500'000'000u);
  EXPECT_EQ(policy.min_duration_ns, 2'000'000'000u);
  EXPECT_EQ(policy.top_k, 1);
  EXPECT_EQ(gst_cliptag_structure_n_tags(gst_buffer_get_cliptag_meta(Through(0).get())), 1u);
}

TEST_F(ControlTest, FrameSettingsReachTheRequest) {
  PlayAndWait();
  Set("fit", "letterbox");
  Set("batch-timeout", "1000");
  Through(0);
  EXPECT_EQ(Fake().seen()[0].fit, Fit::kLetterbox);
  EXPECT_EQ(Fake().seen()[0].batch_timeout_ns, 1000u);
  EXPECT_EQ(Fake().seen()[0].at.pts_ns, 0u);
}

TEST_F(ControlTest, ALowerMaxBatchTakesEffectWhilePlaying) {
  Set("batch-timeout", "10000000000");
  PlayAndWait();
  Set("max-batch", "2");
  ASSERT_EQ(Push(0), GST_FLOW_OK);
  ASSERT_EQ(Push(1), GST_FLOW_OK);
  EXPECT_TRUE(Pull());
  EXPECT_TRUE(Pull());
  EXPECT_EQ(Fake().batches(), std::vector<size_t>{2});
}

TEST_F(ControlTest, AnUnknownValueIsAnErrorOfTheLaunchLine) {
  GError* error = nullptr;
  GstElement* bin = gst_parse_launch("cliptag scoring=magic", &error);
  EXPECT_NE(error, nullptr);
  g_clear_error(&error);
  if (bin != nullptr) gst_object_unref(bin);
}

TEST_F(ControlTest, EveryPropertyReadsBackWhatWasSet) {
  guint count = 0;
  GParamSpec** specs = g_object_class_list_properties(G_OBJECT_GET_CLASS(element_), &count);
  int checked = 0;
  for (guint i = 0; i < count; ++i) {
    GParamSpec* spec = specs[i];
    if (spec->owner_type != G_OBJECT_TYPE(element_) || !(spec->flags & G_PARAM_WRITABLE)) continue;
    SCOPED_TRACE(spec->name);
    GValue set = G_VALUE_INIT, got = G_VALUE_INIT;
    g_value_init(&set, spec->value_type);
    g_value_init(&got, spec->value_type);
    if (G_IS_PARAM_SPEC_STRING(spec)) g_value_set_string(&set, "some {} text");
    if (G_IS_PARAM_SPEC_ENUM(spec)) g_value_set_enum(&set, 1);
    if (G_IS_PARAM_SPEC_UINT(spec)) g_value_set_uint(&set, 3);
    if (G_IS_PARAM_SPEC_UINT64(spec)) g_value_set_uint64(&set, 5);
    if (G_IS_PARAM_SPEC_DOUBLE(spec)) g_value_set_double(&set, 0.25);
    if (G_IS_PARAM_SPEC_BOOLEAN(spec)) {
      g_value_set_boolean(&set, !g_value_get_boolean(g_param_spec_get_default_value(spec)));
    }
    if (GST_IS_PARAM_SPEC_FRACTION(spec)) gst_value_set_fraction(&set, 5, 2);
    g_object_set_property(G_OBJECT(element_), spec->name, &set);
    g_object_get_property(G_OBJECT(element_), spec->name, &got);
    EXPECT_EQ(gst_value_compare(&set, &got), GST_VALUE_EQUAL);
    EXPECT_NE(g_param_spec_get_blurb(spec), nullptr);
    g_value_unset(&set);
    g_value_unset(&got);
    ++checked;
  }
  g_free(specs);
  EXPECT_EQ(checked, 30);
}

TEST_F(ControlTest, StatsCount) {
  PlayAndWait();
  Through(0);
  ASSERT_TRUE(WaitFor([] { return Fake().answered() == 1; }));
  GstStructure* stats = nullptr;
  g_object_get(element_, "stats", &stats, nullptr);
  ASSERT_NE(stats, nullptr);
  for (const char* field : {"frames-in", "frames-tagged", "submitted", "inferred"}) {
    guint64 value = 0;
    EXPECT_TRUE(gst_structure_get_uint64(stats, field, &value)) << field;
    EXPECT_EQ(value, 1u) << field;
  }
  EXPECT_STREQ(gst_structure_get_string(stats, "backend"), "ref");
  gst_structure_free(stats);
}

// --- queries

TEST_F(ControlTest, AllocationAddsWhatIsHeldAndPromisesOnlyWhatDownstreamReads) {
  Fake().max_batch = 4;
  Play();
  GstCaps* caps = gst_caps_from_string(CapsOf("GRAY8", 16, 8).c_str());
  const auto ask = [&] {
    GstQuery* query = gst_query_new_allocation(caps, TRUE);
    EXPECT_TRUE(gst_pad_peer_query(harness_->srcpad, query));
    return query;
  };
  GstQuery* query = ask();
  ASSERT_GE(gst_query_get_n_allocation_pools(query), 1u);
  guint min = 0;
  gst_query_parse_nth_allocation_pool(query, 0, nullptr, nullptr, &min, nullptr);
  EXPECT_EQ(min, 8u);
  EXPECT_FALSE(gst_query_find_allocation_meta(query, GST_VIDEO_META_API_TYPE, nullptr));
  gst_query_unref(query);

  gst_harness_add_propose_allocation_meta(harness_, GST_VIDEO_META_API_TYPE, nullptr);
  gst_harness_add_propose_allocation_meta(harness_, GST_VIDEO_CROP_META_API_TYPE, nullptr);
  query = ask();
  EXPECT_TRUE(gst_query_find_allocation_meta(query, GST_VIDEO_META_API_TYPE, nullptr));
  EXPECT_TRUE(gst_query_find_allocation_meta(query, GST_VIDEO_CROP_META_API_TYPE, nullptr));
  gst_query_unref(query);
  gst_caps_unref(caps);
}

// A pool makes its least number of buffers at once, for each of hundreds of cameras.
TEST_F(ControlTest, LiveAllocationIsOfTheTwoFramesThatAreHeld) {
  Fake().max_batch = 32;
  Set("mode", "live");
  Play();
  GstCaps* caps = gst_caps_from_string(CapsOf("GRAY8", 16, 8).c_str());
  GstQuery* query = gst_query_new_allocation(caps, TRUE);
  ASSERT_TRUE(gst_pad_peer_query(harness_->srcpad, query));
  guint min = 0;
  gst_query_parse_nth_allocation_pool(query, 0, nullptr, nullptr, &min, nullptr);
  EXPECT_EQ(min, 2u);
  gst_query_unref(query);
  gst_caps_unref(caps);
}

TEST_F(ControlTest, ASerializedQueryDrainsFirst) {
  Set("batch-timeout", "10000000000");
  Play();
  ASSERT_EQ(Push(0), GST_FLOW_OK);
  ASSERT_EQ(Push(1), GST_FLOW_OK);
  GstQuery* query = gst_query_new_drain();
  gst_pad_peer_query(harness_->srcpad, query);
  gst_query_unref(query);
  EXPECT_EQ(gst_harness_buffers_in_queue(harness_), 2u);
}

TEST_F(ControlTest, LatencyIsAddedWhenLiveAndToldWhenItChanges) {
  Set("batch-timeout", "20000000");
  Play();
  gst_harness_set_upstream_latency(harness_, 100 * GST_MSECOND);
  GstClockTime min = 0, max = 0;
  gboolean live = FALSE;
  const auto ask = [&] {
    GstQuery* query = gst_query_new_latency();
    EXPECT_TRUE(gst_pad_peer_query(harness_->sinkpad, query));
    gst_query_parse_latency(query, &live, &min, &max);
    gst_query_unref(query);
  };
  ask();
  EXPECT_TRUE(live);
  EXPECT_EQ(min, 123 * GST_MSECOND);
  Through(0);
  EXPECT_TRUE(PopMessages(bus_, GST_MESSAGE_LATENCY).empty());
  Fake().SetExpectedLatency(80 * GST_MSECOND);
  Through(1);
  EXPECT_EQ(PopMessages(bus_, GST_MESSAGE_LATENCY).size(), 1u);
  ask();
  EXPECT_EQ(min, 200 * GST_MSECOND);
  Set("batch-timeout", "0");
  EXPECT_EQ(PopMessages(bus_, GST_MESSAGE_LATENCY).size(), 1u);
}

TEST_F(ControlTest, OtherMemoryIsRefusedWithARecipe) {
  Play();
  for (const char* caps_string :
       {"video/x-raw(memory:DMABuf),format=NV12,width=16,height=8,framerate=25/1",
        "video/x-raw(memory:VAMemory),format=NV12,width=16,height=8,framerate=25/1",
        "video/x-raw(format:Interlaced),format=NV12,width=16,height=8,framerate=25/1,"
        "interlace-mode=alternate"}) {
    GstCaps* caps = gst_caps_from_string(caps_string);
    GstQuery* query = gst_query_new_accept_caps(caps);
    gst_pad_peer_query(harness_->srcpad, query);
    gboolean accepted = TRUE;
    gst_query_parse_accept_caps_result(query, &accepted);
    EXPECT_FALSE(accepted) << caps_string;
    gst_query_unref(query);
    gst_caps_unref(caps);
  }
  const auto warnings = Warnings();
  ASSERT_EQ(warnings.size(), 1u) << "said once";
  EXPECT_NE(warnings[0].find("memory:DMABuf"), std::string::npos);
  EXPECT_NE(warnings[0].find("vapostproc"), std::string::npos);
}

TEST_F(ControlTest, InterlacedFramesPassWoven) {
  Play(CapsOf("I420", 16, 8) + ",interlace-mode=interleaved");
  ASSERT_EQ(gst_harness_push(harness_, MakeFrame(0, 16 * 8 * 3 / 2)), GST_FLOW_OK);
  EXPECT_NE(MetaOf(Pull().get()), nullptr);
  EXPECT_EQ(Fake().seen()[0].view.height, 8);
}

}  // namespace
}  // namespace cliptag::test
