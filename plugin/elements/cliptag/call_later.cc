#include "plugin/elements/cliptag/call_later.h"

#include <utility>

#include "kernels/base/caught.h"
#include "plugin/gst/glib_order.h"

namespace cliptag {

void CallLater(GstElement* element, std::function<void()> call) {
  using Call = std::function<void()>;
  auto* const later = new Call(std::move(call));
  GlibRelease(later);
  gst_element_call_async(
      element,
      [](GstElement*, gpointer data) {
        GlibAcquire(data);
        try {
          (*static_cast<Call*>(data))();
        } catch (...) {
          LogCaughtException("A call on a thread of GStreamer's");
        }
      },
      later, [](gpointer data) { delete static_cast<Call*>(data); });
}

}  // namespace cliptag
