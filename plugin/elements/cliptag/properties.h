// The properties of `cliptag`: their numbers, shared by the file that describes them and the one
// that sets and gets them.
#pragma once

#include <gst/gst.h>

namespace cliptag {

enum {
  PROP_0,
  PROP_MODEL,
  PROP_BACKEND,
  PROP_DEVICE,
  PROP_PRECISION,
  PROP_THREADS,
  PROP_PROMPTS,
  PROP_PROMPTS_FILE,
  PROP_TEMPLATES,
  PROP_BACKGROUND,
  PROP_SCORING,
  PROP_TEMPERATURE,
  PROP_THRESHOLD,
  PROP_OFF_THRESHOLD,
  PROP_SMOOTHING,
  PROP_MIN_DURATION,
  PROP_TOP_K,
  PROP_INTERVAL,
  PROP_MAX_RATE,
  PROP_MAX_BATCH,
  PROP_BATCH_TIMEOUT,
  PROP_FIT,
  PROP_TILE_ROWS,
  PROP_REGIONS,
  PROP_ORIENTATION,
  PROP_MODE,
  PROP_STILL_THRESHOLD,
  PROP_QOS,
  PROP_ATTACH_EMBEDDING,
  PROP_POST_MESSAGES,
  PROP_STATS,
  PROP_METRICS_FILE,
};

// The values of an enum property are those of the core's enum.
template <typename E>
constexpr int Int(E value) {
  return static_cast<int>(value);
}

// A value of the property `fit` that is not one of Fit.
inline constexpr int kFitTiles = 100;
// A value of the property `orientation` that is not one of Orientation.
inline constexpr int kOrientationAuto = -1;

}  // namespace cliptag

// In plugin/elements/cliptag/properties.cc.
void gst_clip_tag_install_properties(GObjectClass* klass);

// In plugin/elements/cliptag/property_values.cc.
void gst_clip_tag_set_property(GObject* object, guint id, const GValue* value, GParamSpec* spec);
void gst_clip_tag_get_property(GObject* object, guint id, GValue* value, GParamSpec* spec);
