// Which tags the overlay shows at a frame, and the picture of them, drawn anew only when it would
// look different: tags of the frame and of tiles in a panel, active ones of tiles also as the box
// that they were seen in, and at each object its best tag. What can be read is what stands still:
// lines change places only where one is clearly ahead, and those of a few percent are left out.
//
// Thread safety: used by one thread at a time.
#pragma once

#include <gst/gst.h>
#include <gst/video/video-overlay-composition.h>

#include <memory>
#include <string>
#include <vector>

#include "plugin/elements/overlay/draw.h"

namespace cliptag {

struct OverlayProperties {
  OverlayStyle style;
  std::string title;
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

  // The size of frames has changed: where tags were seen says nothing any more.
  void ForgetPlaces();

  // Takes the tags of a frame, if it has any, or keeps the last ones as long as they hold.
  void Look(GstBuffer* buffer, guint64 hold_ns);

  // Null when there is nothing to draw. Owned by the panel until the next call.
  GstVideoOverlayComposition* Draw(const OverlayProperties& properties, const OverlayFrame& frame);

  // What Draw() draws.
  OverlayContent WhatToShow(const OverlayProperties& properties) const;

 private:
  struct Seen {
    OverlayLine line;
    Rect place;  // of width 0: none
    bool of_object = false;
  };
  static Seen SeenOf(const GstStructure* tag);
  // Puts tags in the order of their lines, by the order of those before, and drops the faint ones.
  void Arrange(std::vector<Seen>* found) const;

  bool have_tags_ = false;
  std::vector<Seen> tags_;
  guint64 tags_pts_ = 0;
  CompositionPtr drawn_;
  OverlayContent drawn_content_;
  OverlayStyle drawn_style_;
  OverlayFrame drawn_frame_;
};

}  // namespace cliptag
