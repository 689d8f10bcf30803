// The property `metrics-file`: what is told to the writer of that file.
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
  source.tags = [this] { return tag_counts_.All(); };
  // On a thread of GStreamer's: whoever answers a message at once by stopping the element would
  // wait for the writer on the writer's own thread.
  source.warn = [this](const std::string& problem) {
    const auto post = [](GstElement* element, gpointer text) {
      GST_ELEMENT_WARNING(element, RESOURCE, WRITE, ("%s", static_cast<gchar*>(text)), (nullptr));
    };
    gst_element_call_async(element_, post, g_strdup(problem.c_str()), g_free);
  };
  return RegisterMetrics(path, std::move(source));
}

}  // namespace cliptag
