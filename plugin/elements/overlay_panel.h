// Which tags the overlay shows at a frame, and the picture of them, drawn anew only when it would
// look different.
//
// Thread safety: used by one thread at a time.
#pragma once

#include <gst/gst.h>
#include <gst/video/video-overlay-composition.h>

#include <memory>
#include <vector>

#include "plugin/elements/overlay_draw.h"

namespace cliptag {

struct OverlayProperties {
  OverlayStyle style;
  guint max_tags = 8;  // 0 = all
  guint64 hold_ns = 2 * GST_SECOND;
  bool show_inactive = true;
};

struct CompositionUnref {
  void operator()(GstVideoOverlayComposition* c) const { gst_video_overlay_composition_unref(c); }
};
using CompositionPtr = std::unique_ptr<GstVideoOverlayComposition, CompositionUnref>;

class OverlayPanel {
 public:
  void Forget();

  // Takes the tags of a frame, if it has any, or keeps the last ones as long as they hold.
  void Look(GstBuffer* buffer, guint64 hold_ns);

  // Null when there is nothing to draw. Owned by the panel until the next call.
  GstVideoOverlayComposition* Draw(const OverlayProperties& properties, int width, int height);

 private:
  bool have_tags_ = false;
  std::vector<OverlayLine> tags_;
  guint64 tags_pts_ = 0;
  CompositionPtr drawn_;
  std::vector<OverlayLine> drawn_lines_;
  OverlayStyle drawn_style_;
  int drawn_width_ = 0, drawn_height_ = 0;
};

}  // namespace cliptag
