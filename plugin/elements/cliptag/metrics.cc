// The property `metrics-file`: registers this element with the writer of that file.
#include <string>
#include <utility>

#include "plugin/elements/cliptag/clip_tag.h"
#include "plugin/elements/cliptag/gstcliptag.h"

namespace cliptag {

std::unique_ptr<MetricsRegistration> ClipTag::OpenMetrics(const std::string& path) {
  if (path.empty()) return nullptr;
  MetricsSource source;
  gchar* name = gst_object_get_path_string(GST_OBJECT(element_));
  source.stream = name;
  g_free(name);
  source.stats = [this] { return Stats(); };
  source.tags = [this] { return publisher_.tags(); };
  // Not on the writer's own thread: a stop, which may be the answer to the message, waits for it.
  source.warn = [this](const std::string& problem) {
    CallLater([this, problem] {
      GST_ELEMENT_WARNING(element_, RESOURCE, WRITE, ("%s", problem.c_str()), (nullptr));
    });
  };
  return RegisterMetrics(path, std::move(source));
}

}  // namespace cliptag
