// A `cliptag` on the fake engine in a harness.
#pragma once

#include <string>
#include <vector>

#include "tests/elements/fake_engine.h"
#include "tests/elements/gst_test.h"

namespace cliptag::test {

class ClipTagTest : public ::testing::Test {
 protected:
  void SetUp() override {
    Fake().Reset();
    element_ = GST_ELEMENT(gst_object_ref_sink(gst_element_factory_make("cliptag", nullptr)));
    ASSERT_NE(element_, nullptr);
    bus_ = gst_bus_new();
    gst_element_set_bus(element_, bus_);
    Set("prompts", "cat; dog");
    Set("mode", "exact");  // a harness says that it is live
  }

  void TearDown() override {
    Fake().Release();
    Fake().ReleasePrompts();
    if (harness_ != nullptr) gst_harness_teardown(harness_);
    gst_element_set_state(element_, GST_STATE_NULL);
    gst_bus_set_flushing(bus_, TRUE);  // messages hold a reference
    gst_element_set_bus(element_, nullptr);
    // What is posted on a thread of GStreamer's holds it for a moment longer.
    EXPECT_TRUE(WaitFor([&] { return GST_OBJECT_REFCOUNT_VALUE(element_) == 1; }))
        << "someone still holds the element";
    gst_object_unref(element_);
    gst_object_unref(bus_);
    EXPECT_EQ(Fake().streams_alive(), 0);
    EXPECT_EQ(Fake().engines_alive(), 0);
  }

  static FakeControl& Fake() { return FakeControl::Get(); }

  void Set(const char* property, const std::string& value) {
    gst_util_set_object_arg(G_OBJECT(element_), property, value.c_str());
  }

  // Plays; frames of 25 per second from here on.
  void Play(const std::string& caps = CapsOf("GRAY8", 16, 8)) {
    harness_ = gst_harness_new_with_element(element_, "sink", "src");
    gst_harness_set_src_caps_str(harness_, caps.c_str());
  }

  // Frame n of the stream; its first sample is n, so that a mix-up shows.
  GstBuffer* MakeFrame(guint64 n, gsize size = 16 * 8) { return MakeFrame(n, size, n * kFrame); }
  GstBuffer* MakeFrame(guint64 n, gsize size, GstClockTime pts) {
    GstBuffer* buffer = gst_buffer_new_allocate(nullptr, size, nullptr);
    gst_buffer_memset(buffer, 0, static_cast<guint8>(n), size);
    GST_BUFFER_PTS(buffer) = pts;
    GST_BUFFER_DURATION(buffer) = kFrame;
    return buffer;
  }

  GstFlowReturn Push(guint64 n) { return gst_harness_push(harness_, MakeFrame(n)); }

  // Plays, with the prompts in place.
  void PlayAndWait() {
    Play();
    ASSERT_TRUE(WaitFor([] { return Fake().prompts_set() == 1; }));
  }

  // Pushes one frame and returns it.
  BufferHolder Through(guint64 n) {
    EXPECT_EQ(Push(n), GST_FLOW_OK);
    return Pull();
  }

  BufferHolder Pull() { return BufferHolder(gst_harness_pull(harness_)); }

  static const GstStructure* MetaOf(GstBuffer* buffer) {
    GstCustomMeta* meta = gst_buffer_get_custom_meta(buffer, "GstCliptagMeta");
    return meta != nullptr ? gst_custom_meta_get_structure(meta) : nullptr;
  }

  std::vector<std::string> Warnings() { return Texts(GST_MESSAGE_WARNING); }
  std::vector<std::string> Errors() { return Texts(GST_MESSAGE_ERROR); }

  // Errors of a start that must fail.
  std::string FailedStart() {
    EXPECT_EQ(gst_element_set_state(element_, GST_STATE_PAUSED), GST_STATE_CHANGE_FAILURE);
    const auto errors = Errors();
    EXPECT_EQ(errors.size(), 1u);
    return errors.empty() ? "" : errors[0];
  }

  static constexpr guint64 kFrame = 40 * GST_MSECOND;
  GstElement* element_ = nullptr;
  GstBus* bus_ = nullptr;
  GstHarness* harness_ = nullptr;

 private:
  std::vector<std::string> Texts(GstMessageType type) {
    std::vector<std::string> texts;
    for (const MessagePtr& message : PopMessages(bus_, type))
      texts.push_back(TextOf(message.get()));
    return texts;
  }
};

}  // namespace cliptag::test
