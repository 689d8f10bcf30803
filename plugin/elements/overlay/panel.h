// Decides which tags the overlay shows, and draws them, again only if the result would differ. Tags
// of the frame and of tiles are in a panel; active ones of tiles also get a box, and each object a
// box with its best tag. For legibility lines change places only if one is clearly ahead, and those
// of a few percent are left out.
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

  // For a new frame size: drops the regions of tags.
  void ForgetPlaces();

  // Takes the tags of a frame, if it has any, or keeps the last ones for up to hold_ns.
  void Update(GstBuffer* buffer, guint64 hold_ns);

  // Null when there is nothing to draw. Owned by the panel until the next call.
  GstVideoOverlayComposition* Draw(const OverlayProperties& properties, const OverlayFrame& frame);

  // The content that Draw() draws.
  OverlayContent WhatToShow(const OverlayProperties& properties) const;

 private:
  struct Seen {
    OverlayLine line;
    Rect place;  // width 0: none
    bool of_object = false;
  };
  static Seen SeenOf(const GstStructure* tag);
  // Sorts tags for the panel, keeping the order of the last lines if possible, and drops weak ones.
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
