// `cliptagoverlay`: draws the tags that `cliptag` has left on a frame.
#pragma once

#include <gst/base/gstbasetransform.h>

G_BEGIN_DECLS

#define GST_TYPE_CLIP_TAG_OVERLAY (gst_clip_tag_overlay_get_type())
G_DECLARE_FINAL_TYPE(GstClipTagOverlay, gst_clip_tag_overlay, GST, CLIP_TAG_OVERLAY,
                     GstBaseTransform)

G_END_DECLS
