#include "plugin/elements/cliptag/input/memory_caps.h"

#include "plugin/elements/cuda/cuda_frames.h"

namespace cliptag {
namespace {

bool IsOfCudaMemory(const GstCapsFeatures* features) {
  return !gst_caps_features_is_any(features) &&
         gst_caps_features_contains(features, kCudaMemoryFeature);
}

}  // namespace

bool IsInCudaMemory(const GstCaps* caps) {
  return gst_caps_get_size(caps) > 0 && IsOfCudaMemory(gst_caps_get_features(caps, 0));
}

void RemoveCudaMemory(GstQuery* query) {
  GstCaps* caps = nullptr;
  gst_query_parse_caps_result(query, &caps);
  if (caps == nullptr || gst_caps_is_any(caps)) return;
  GstCaps* without = gst_caps_copy(caps);
  gst_caps_filter_and_map_in_place(
      without,
      [](GstCapsFeatures* features, GstStructure*, gpointer) -> gboolean {
        return !IsOfCudaMemory(features);
      },
      nullptr);
  gst_query_set_caps_result(query, without);
  gst_caps_unref(without);
}

std::string UnreadableMemory(const GstCaps* caps, bool takes_cuda) {
  if (caps == nullptr || gst_caps_is_any(caps)) return "";
  const GstCapsFeatures* foreign = nullptr;
  for (guint i = 0; i < gst_caps_get_size(caps); ++i) {
    const GstCapsFeatures* features = gst_caps_get_features(caps, i);
    if (gst_caps_features_is_any(features) ||
        gst_caps_features_is_equal(features, GST_CAPS_FEATURES_MEMORY_SYSTEM_MEMORY) ||
        (takes_cuda && IsOfCudaMemory(features)))
      return "";
    foreign = features;
  }
  if (foreign == nullptr) return "";
  gchar* name = gst_caps_features_to_string(foreign);
  std::string memory = name;
  g_free(name);
  return memory;
}

}  // namespace cliptag
