// What `cliptag` tells: messages, metas, events.
#include <fstream>
#include <iterator>
#include <regex>

#include "plugin/elements/meta/gstcliptagmeta.h"
#include "plugin/elements/meta/meta.h"
#include "tests/elements/cliptag_fixture.h"

namespace cliptag::test {
namespace {

class ResultTest : public ClipTagTest {};

TEST_F(ResultTest, MessageAndMetaCarryEveryFieldOfTheContract) {
  Fake().SetScore([](const std::string& label, uint64_t) { return label == "dog" ? 0.75 : 0.25; });
  Set("attach-embedding", "true");
  Play();
  GstSegment segment;
  gst_segment_init(&segment, GST_FORMAT_TIME);
  segment.time = 5 * GST_SECOND;
  ASSERT_TRUE(gst_harness_push_event(harness_, gst_event_new_segment(&segment)));
  const BufferHolder out = Through(3);
  const auto messages = PopElementMessages(bus_, "cliptag");
  ASSERT_EQ(messages.size(), 1u);
  EXPECT_EQ(GST_MESSAGE_SRC(messages[0].get()), GST_OBJECT(element_));
  const GstStructure* meta = gst_buffer_get_cliptag_meta(out.get());
  ASSERT_NE(meta, nullptr);
  EXPECT_STREQ(gst_structure_get_name(meta), "GstCliptagMeta");
  for (const GstStructure* s : {gst_message_get_structure(messages[0].get()), meta}) {
    SCOPED_TRACE(gst_structure_get_name(s));
    const std::pair<const char*, GType> types[] = {
        {"pts", G_TYPE_UINT64},     {"stream-time", G_TYPE_UINT64}, {"frame", G_TYPE_UINT64},
        {"model", G_TYPE_STRING},   {"age", G_TYPE_UINT64},         {"tags", GST_TYPE_LIST},
        {"embedding", G_TYPE_BYTES}};
    for (const auto& [name, type] : types) {
      EXPECT_EQ(gst_structure_get_field_type(s, name), type) << name;
    }
    EXPECT_EQ(gst_structure_n_fields(s), 7);
    guint64 pts = 0, stream_time = 0, frame = 9, age = 9;
    gst_structure_get(s, "pts", G_TYPE_UINT64, &pts, "stream-time", G_TYPE_UINT64, &stream_time,
                      "frame", G_TYPE_UINT64, &frame, "age", G_TYPE_UINT64, &age, nullptr);
    EXPECT_EQ(pts, 3 * kFrame);
    EXPECT_EQ(stream_time, 3 * kFrame + 5 * GST_SECOND);
    EXPECT_EQ(frame, 0u);
    EXPECT_EQ(age, 0u);
    EXPECT_STREQ(gst_structure_get_string(s, "model"), "starter");
    ASSERT_EQ(gst_cliptag_structure_n_tags(s), 2u);
    const GstStructure* best = gst_cliptag_structure_get_tag(s, 0);
    EXPECT_STREQ(gst_structure_get_name(best), "tag");
    EXPECT_EQ(gst_structure_n_fields(best), 4);
    EXPECT_STREQ(gst_structure_get_string(best, "label"), "dog");
    gdouble score = 0, cosine = 0;
    gboolean active = FALSE;
    ASSERT_TRUE(gst_structure_get(best, "score", G_TYPE_DOUBLE, &score, "cosine", G_TYPE_DOUBLE,
                                  &cosine, "active", G_TYPE_BOOLEAN, &active, nullptr));
    EXPECT_DOUBLE_EQ(score, 0.75);
    EXPECT_DOUBLE_EQ(cosine, 0.375);
    EXPECT_TRUE(active);
    gsize size = 0;
    const auto* values = static_cast<const float*>(g_bytes_get_data(
        static_cast<GBytes*>(g_value_get_boxed(gst_structure_get_value(s, "embedding"))), &size));
    ASSERT_EQ(size, 2 * sizeof(float));
    EXPECT_FLOAT_EQ(values[1], 0.8f);
  }
}

// The installed header is where others read what the fields are.
TEST_F(ResultTest, TheHeaderNamesEveryField) {
  InferenceResult result;
  result.embedding = {1};
  result.tags = {{.label = "dog", .region = {1, 2, 3, 4}, .of_object = true, .id = 7}};
  const BufferHolder buffer(gst_buffer_new());
  ASSERT_TRUE(AttachResult(buffer.get(), {.attach_embedding = true}, result));
  TagEvent event;
  event.of_object = true;
  GstStructure* ended = MakeEventStructure(event);
  const GstStructure* meta = gst_buffer_get_cliptag_meta(buffer.get());
  const GstStructure* tag = gst_cliptag_structure_get_tag(meta, 0);
  const GstStructure* region = gst_value_get_structure(gst_structure_get_value(tag, "region"));

  std::ifstream file(std::string(g_getenv("CLIPTAG_SOURCE_ROOT")) +
                     "/plugin/elements/meta/gstcliptagmeta.h");
  std::string header(std::istreambuf_iterator<char>(file), {});
  header.resize(header.find("#ifndef"));
  for (const GstStructure* structure :
       {meta, tag, region, static_cast<const GstStructure*>(ended)}) {
    for (gint i = 0; i < gst_structure_n_fields(structure); ++i) {
      const std::string name = gst_structure_nth_field_name(structure, static_cast<guint>(i));
      EXPECT_TRUE(std::regex_search(header, std::regex("[ ,]" + name + "[ ,]"))) << name;
    }
  }
  gst_structure_free(ended);
}

TEST_F(ResultTest, EventsTellEdgesAndTheEndOfTheStreamEndsThem) {
  Fake().SetScore([](const std::string& label, uint64_t frame) {
    return label == "dog" && frame >= 1 ? 0.75 + 0.125 * (frame == 2) : 0.25;
  });
  Play();
  for (guint64 n = 0; n < 4; ++n) Through(n);
  auto events = PopElementMessages(bus_, "cliptag-event");
  ASSERT_EQ(events.size(), 1u);
  const GstStructure* start = gst_message_get_structure(events[0].get());
  EXPECT_STREQ(gst_structure_get_string(start, "label"), "dog");
  EXPECT_STREQ(gst_structure_get_string(start, "state"), "start");
  guint64 pts = 0;
  gst_structure_get_uint64(start, "pts", &pts);
  EXPECT_EQ(pts, kFrame);
  EXPECT_FALSE(gst_structure_has_field(start, "duration"));
  ASSERT_TRUE(gst_harness_push_event(harness_, gst_event_new_eos()));
  ASSERT_TRUE(WaitFor([&] {
    events = PopElementMessages(bus_, "cliptag-event");
    return !events.empty();
  }));
  ASSERT_EQ(events.size(), 1u);
  const GstStructure* end = gst_message_get_structure(events[0].get());
  EXPECT_STREQ(gst_structure_get_string(end, "state"), "end");
  guint64 duration = 0;
  gdouble peak = 0, score = 0;
  ASSERT_TRUE(gst_structure_get(end, "duration", G_TYPE_UINT64, &duration, "peak", G_TYPE_DOUBLE,
                                &peak, "score", G_TYPE_DOUBLE, &score, nullptr));
  EXPECT_EQ(duration, 2 * kFrame);
  EXPECT_DOUBLE_EQ(peak, 0.875);
  EXPECT_DOUBLE_EQ(score, 0.75);
}

TEST_F(ResultTest, AStartThatIsToldLateCountsFromItsEdge) {
  Fake().SetScore([](const std::string& label, uint64_t frame) {
    return label == "dog" && frame >= 5 ? 0.75 : 0.25;
  });
  Set("min-duration", std::to_string(3 * kFrame));
  Play();
  for (guint64 n = 0; n < 7; ++n) Through(n);
  auto events = PopElementMessages(bus_, "cliptag-event");
  ASSERT_EQ(events.size(), 1u);
  guint64 pts = 0, duration = 0;
  gst_structure_get_uint64(gst_message_get_structure(events[0].get()), "pts", &pts);
  EXPECT_EQ(pts, 2 * kFrame);
  ASSERT_TRUE(gst_harness_push_event(harness_, gst_event_new_eos()));
  ASSERT_TRUE(WaitFor([&] {
    events = PopElementMessages(bus_, "cliptag-event");
    return !events.empty();
  }));
  gdouble peak = 0;
  ASSERT_TRUE(gst_structure_get(gst_message_get_structure(events[0].get()), "duration",
                                G_TYPE_UINT64, &duration, "peak", G_TYPE_DOUBLE, &peak, nullptr));
  EXPECT_EQ(duration, 4 * kFrame);
  EXPECT_DOUBLE_EQ(peak, 0.9) << "the peak from before the start was told";
}

TEST_F(ResultTest, WithoutMessagesOnlyTheMeta) {
  Set("post-messages", "false");
  Play();
  EXPECT_NE(MetaOf(Through(0).get()), nullptr);
  EXPECT_TRUE(PopMessages(bus_, GST_MESSAGE_ELEMENT).empty());
}

TEST_F(ResultTest, TwoInARowBothLeaveTheirTags) {
  GstBuffer* buffer = gst_buffer_new();
  GstCustomMeta* meta = gst_buffer_add_custom_meta(buffer, GST_CLIPTAG_META_NAME);
  gst_structure_set(gst_custom_meta_get_structure(meta), "model", G_TYPE_STRING, "first", nullptr);
  meta = gst_buffer_add_custom_meta(buffer, GST_CLIPTAG_META_NAME);
  gst_structure_set(gst_custom_meta_get_structure(meta), "model", G_TYPE_STRING, "second", nullptr);
  gpointer state = nullptr;
  EXPECT_STREQ(gst_structure_get_string(gst_buffer_iterate_cliptag_meta(buffer, &state), "model"),
               "first");
  EXPECT_STREQ(gst_structure_get_string(gst_buffer_iterate_cliptag_meta(buffer, &state), "model"),
               "second");
  EXPECT_EQ(gst_buffer_iterate_cliptag_meta(buffer, &state), nullptr);
  gst_buffer_unref(buffer);
}

}  // namespace
}  // namespace cliptag::test
