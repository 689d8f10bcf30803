#include "plugin/elements/overlay/gstcliptagoverlay.h"
#include "plugin/elements/register.h"

namespace cliptag {

bool RegisterOverlay(GstPlugin* plugin) {
  return gst_element_register(plugin, "cliptagoverlay", GST_RANK_NONE, GST_TYPE_CLIP_TAG_OVERLAY);
}

}  // namespace cliptag
