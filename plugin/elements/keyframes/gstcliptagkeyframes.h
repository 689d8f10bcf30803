// `cliptagkeyframes`: passes the keyframes of an encoded stream and drops the rest, so that frames
// without inference are not decoded. This is only the GObject; the work is in KeyframeStream
// (plugin/elements/keyframes/stream.h).
#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

#define GST_TYPE_CLIP_TAG_KEYFRAMES (gst_clip_tag_keyframes_get_type())
G_DECLARE_FINAL_TYPE(GstClipTagKeyframes, gst_clip_tag_keyframes, GST, CLIP_TAG_KEYFRAMES,
                     GstElement)

G_END_DECLS
