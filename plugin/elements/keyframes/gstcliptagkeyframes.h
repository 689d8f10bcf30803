// `cliptagkeyframes`: lets the keyframes of an encoded stream through and drops the rest, so that
// what is not looked at is not decoded either. Declared here is the GObject alone; what it does is
// in KeyframeStream (plugin/elements/keyframes/stream.h).
#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

#define GST_TYPE_CLIP_TAG_KEYFRAMES (gst_clip_tag_keyframes_get_type())
G_DECLARE_FINAL_TYPE(GstClipTagKeyframes, gst_clip_tag_keyframes, GST, CLIP_TAG_KEYFRAMES,
                     GstElement)

G_END_DECLS
