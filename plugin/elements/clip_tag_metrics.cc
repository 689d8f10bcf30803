// The property `metrics-file`: what is told to the writer of that file.
#include <string>
#include <utility>

#include "plugin/elements/clip_tag.h"
#include "plugin/elements/gstcliptag.h"

namespace cliptag {

std::unique_ptr<MetricsRegistration> ClipTag::OpenMetrics(const std::string& path) {
  if (path.empty()) return nullptr;
  MetricsSource source;
  gchar* name = gst_object_get_path_string(GST_OBJECT(element_));
  source.stream = name;
  g_free(name);
  source.stats = [this] { return Stats(); };
  source.warn = [this](const std::string& problem) {
    GST_ELEMENT_WARNING(element_, RESOURCE, WRITE, ("%s", problem.c_str()), (nullptr));
  };
  return RegisterMetrics(path, std::move(source));
}

}  // namespace cliptag
