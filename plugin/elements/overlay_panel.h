// Which tags the overlay shows at a frame, and the picture of them, drawn anew only when it would
// look different: tags of the frame and of tiles in a panel, active ones of tiles also as the box
// that they were seen in, and at each object its best tag.
//
// Thread safety: used by one thread at a time.
#pragma once

#include <gst/gst.h>
#include <gst/video/video-overlay-composition.h>

#include <memory>
#include <vector>

#include "plugin/elements/overlay_boxes.h"
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
  struct Shown {
    std::vector<OverlayLine> lines;
    std::vector<OverlayBox> boxes;
    bool operator==(const Shown&) const = default;
  };
  struct Seen {
    OverlayLine line;
    OverlayBox box;  // of width 0: none
    bool of_object = false;
  };
  static Seen SeenOf(const GstStructure* tag);
  Shown WhatToShow(const OverlayProperties& properties) const;

  bool have_tags_ = false;
  std::vector<Seen> tags_;
  guint64 tags_pts_ = 0;
  CompositionPtr drawn_;
  Shown drawn_shown_;
  OverlayStyle drawn_style_;
  int drawn_width_ = 0, drawn_height_ = 0;
};

}  // namespace cliptag
