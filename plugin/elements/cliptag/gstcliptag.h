// `cliptag`: passes raw video through in place and tags it. Declared here is the GObject alone;
// what it does is in ClipTag (clip_tag.h).
#pragma once

#include <gst/gst.h>

#include <atomic>
#include <memory>

namespace cliptag {
class ClipTag;
}

G_BEGIN_DECLS

#define GST_TYPE_CLIP_TAG (gst_clip_tag_get_type())
G_DECLARE_FINAL_TYPE(GstClipTag, gst_clip_tag, GST, CLIP_TAG, GstElement)

// What the src pad's task runs, with the element.
void gst_clip_tag_loop(gpointer element);

G_END_DECLS

struct _GstClipTag {
  GstElement parent;
  // Owned; set once, before any thread but the maker's can have it: whoever reads it sees it whole.
  std::atomic<cliptag::ClipTag*> impl;
};

GST_DEBUG_CATEGORY_EXTERN(gst_clip_tag_debug);
#define GST_CAT_DEFAULT gst_clip_tag_debug
