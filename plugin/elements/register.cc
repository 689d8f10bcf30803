#include "plugin/elements/register.h"

#include "kernels/base/log.h"
#include "plugin/elements/cliptag/gstcliptag.h"
#include "plugin/elements/keyframes/gstcliptagkeyframes.h"
#include "plugin/elements/meta/region_map.h"

GST_DEBUG_CATEGORY_STATIC(cliptag_core_debug);

namespace cliptag {
namespace {

void LogToGStreamer(LogLevel level, const std::string& message) {
  switch (level) {
    case LogLevel::kError:
      GST_CAT_ERROR(cliptag_core_debug, "%s", message.c_str());
      return;
    case LogLevel::kWarning:
      GST_CAT_WARNING(cliptag_core_debug, "%s", message.c_str());
      return;
    case LogLevel::kInfo:
      GST_CAT_INFO(cliptag_core_debug, "%s", message.c_str());
      return;
    case LogLevel::kDebug:
      GST_CAT_DEBUG(cliptag_core_debug, "%s", message.c_str());
  }
}

}  // namespace

bool RegisterAll(GstPlugin* plugin) {
  GST_DEBUG_CATEGORY_INIT(cliptag_core_debug, "cliptag-core", 0, "CLIP models and kernels");
  SetLogCallback(LogToGStreamer);
  RegisterMetas();
  return gst_element_register(plugin, "cliptag", GST_RANK_NONE, GST_TYPE_CLIP_TAG) &&
         gst_element_register(plugin, "cliptagkeyframes", GST_RANK_NONE,
                              GST_TYPE_CLIP_TAG_KEYFRAMES) &&
         RegisterOverlay(plugin);
}

}  // namespace cliptag
