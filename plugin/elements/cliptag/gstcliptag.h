// `cliptag`: passes raw video through in place and tags it. This is the GObject; its work is in
// ClipTag (clip_tag.h).
//
// The GTypes of the elements are GstClipTag, GstClipTagOverlay and GstClipTagKeyframes; the meta is
// GstCliptagMeta, after the element's name `cliptag`. Both spellings are public API and stay.
#pragma once

#include <gst/gst.h>

namespace cliptag {
class ClipTag;
}

G_BEGIN_DECLS

#define GST_TYPE_CLIP_TAG (gst_clip_tag_get_type())
G_DECLARE_FINAL_TYPE(GstClipTag, gst_clip_tag, GST, CLIP_TAG, GstElement)

// The function of the src pad's task; its data is the element.
void gst_clip_tag_loop(gpointer element);

G_END_DECLS

struct _GstClipTag {
  GstElement parent;
  // Owned; set once, before any other thread can reach the element (GlibAcquire).
  cliptag::ClipTag* impl;
};

GST_DEBUG_CATEGORY_EXTERN(gst_clip_tag_debug);
#define GST_CAT_DEFAULT gst_clip_tag_debug
