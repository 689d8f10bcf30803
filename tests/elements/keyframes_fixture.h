// `cliptagkeyframes` in a harness, on bitstreams made by hand.
#pragma once

#include <ostream>
#include <string>
#include <vector>

#include "tests/elements/gst_test.h"
#include "tests/elements/keyframe_bytes.h"

namespace cliptag::test {

inline constexpr GstClockTime kFrame = 40 * GST_MSECOND;
inline constexpr char kByteStream[] =
    "video/x-h264,stream-format=byte-stream,alignment=au,width=64,height=64,framerate=25/1";

struct GapSeen {
  GstClockTime start, duration;
  bool operator==(const GapSeen&) const = default;
};
inline std::ostream& operator<<(std::ostream& out, const GapSeen& gap) {
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
  std::vector<std::string> Warnings() { return Texts(GST_MESSAGE_WARNING); }
  std::vector<std::string> Errors() { return Texts(GST_MESSAGE_ERROR); }
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

  std::vector<std::string> Texts(GstMessageType type) {
    std::vector<std::string> texts;
    for (const MessagePtr& m : PopMessages(bus_, type)) texts.push_back(TextOf(m.get()));
    return texts;
  }

  GstBus* bus_ = gst_bus_new();
  GstHarness* harness_;
};

}  // namespace cliptag::test
