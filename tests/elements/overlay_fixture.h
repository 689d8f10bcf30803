// Frames of one value through cliptagoverlay, and where it changed them.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "plugin/elements/meta/meta.h"
#include "plugin/elements/overlay/draw.h"
#include "plugin/elements/overlay/panel.h"
#include "plugin/gst/frame_view.h"
#include "tests/elements/gst_test.h"

namespace cliptag::test {

inline std::vector<Tag> TwoTags() { return {{"dog", 0.75, 0.3, true}, {"cat", 0.25, 0.1, false}}; }

class OverlayTest : public ::testing::Test {
 protected:
  void Play(const std::string& format = "RGB", int width = 320, int height = 240,
            const std::string& properties = "") {
    if (harness_ != nullptr) gst_harness_teardown(harness_);
    harness_ = gst_harness_new_parse(("cliptagoverlay " + properties).c_str());
    ASSERT_NE(harness_, nullptr);
    const std::string caps = CapsOf(format, width, height);
    GstCaps* parsed = gst_caps_from_string(caps.c_str());
    ASSERT_TRUE(gst_video_info_from_caps(&info_, parsed));
    gst_caps_unref(parsed);
    gst_harness_set_src_caps_str(harness_, caps.c_str());
  }
  void TearDown() override {
    if (harness_ != nullptr) gst_harness_teardown(harness_);
  }

  // A frame of one value.
  BufferHolder MakeFrame(guint64 pts) {
    GstBuffer* buffer = gst_buffer_new_allocate(nullptr, info_.size, nullptr);
    gst_buffer_memset(buffer, 0, kValue, info_.size);
    GST_BUFFER_PTS(buffer) = pts;
    return BufferHolder(buffer);
  }

  BufferHolder Through(BufferHolder frame, const std::vector<Tag>& tags = {}) {
    if (!tags.empty()) {
      InferenceResult result;
      result.tags = tags;
      EXPECT_TRUE(AttachResult(frame.get(), {}, result));
    }
    return BufferHolder(gst_harness_push_and_pull(harness_, frame.release()));
  }

  bool Changed(GstBuffer* buffer) {
    GstMapInfo map;
    EXPECT_TRUE(gst_buffer_map(buffer, &map, GST_MAP_READ));
    bool changed = false;
    for (gsize i = 0; i < map.size && !changed; ++i) changed = map.data[i] != kValue;
    gst_buffer_unmap(buffer, &map);
    return changed;
  }

  // The box of pixels that are not what MakeFrame() made, looking at every component.
  GstVideoRectangle ChangedBox(GstBuffer* buffer) {
    GstVideoFrame frame;
    EXPECT_TRUE(gst_video_frame_map(&frame, &info_, buffer, GST_MAP_READ));
    int x0 = info_.width, y0 = info_.height, x1 = -1, y1 = -1;
    const Result<FrameView> view = MakeFrameView(frame, Orientation::kRotate0);
    EXPECT_TRUE(view.ok());
    for (int c = 0; c < (view->kind == PixelKind::kGray ? 1 : 3); ++c) {
      const Component& samples = view->component[c];
      const bool chroma = view->kind == PixelKind::kYuv && c > 0;
      const int shift_x = chroma ? view->chroma_shift_x : 0;
      const int shift_y = chroma ? view->chroma_shift_y : 0;
      for (int y = 0; y < info_.height >> shift_y; ++y) {
        for (int x = 0; x < info_.width >> shift_x; ++x) {
          // The low byte of a word may be rounded when its line is unpacked and packed again.
          if (samples.data[y * samples.row_stride + x * samples.pixel_stride +
                           view->bytes_per_sample - 1] == kValue) {
            continue;
          }
          x0 = std::min(x0, x << shift_x);
          y0 = std::min(y0, y << shift_y);
          x1 = std::max(x1, ((x + 1) << shift_x) - 1);
          y1 = std::max(y1, ((y + 1) << shift_y) - 1);
        }
      }
    }
    gst_video_frame_unmap(&frame);
    return {x0, y0, x1 - x0 + 1, y1 - y0 + 1};
  }

  static GstVideoRectangle PanelBox(const std::vector<OverlayLine>& lines,
                                    const OverlayStyle& style, int width, int height) {
    return PanelBox({.lines = lines}, style, {width, height, {}});
  }
  // The panel comes last.
  static GstVideoRectangle PanelBox(const OverlayContent& content, const OverlayStyle& style,
                                    const OverlayFrame& frame) {
    const CompositionPtr composition(DrawOverlay(content, style, frame));
    EXPECT_TRUE(composition);
    return BoxAt(composition.get(),
                 gst_video_overlay_composition_n_rectangles(composition.get()) - 1);
  }
  static GstVideoRectangle BoxAt(GstVideoOverlayComposition* composition, guint i) {
    GstVideoRectangle box{};
    guint w = 0, h = 0;
    gst_video_overlay_rectangle_get_render_rectangle(
        gst_video_overlay_composition_get_rectangle(composition, i), &box.x, &box.y, &w, &h);
    box.w = static_cast<int>(w);
    box.h = static_cast<int>(h);
    return box;
  }

  static constexpr guint8 kValue = 200;
  GstHarness* harness_ = nullptr;
  GstVideoInfo info_;
};

}  // namespace cliptag::test
