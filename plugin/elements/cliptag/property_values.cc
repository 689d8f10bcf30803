// How the properties of `cliptag` reach its settings, and back.
#include <string>

#include "kernels/base/caught.h"
#include "plugin/elements/cliptag/clip_tag.h"
#include "plugin/elements/cliptag/gstcliptag.h"
#include "plugin/elements/cliptag/properties.h"

namespace cliptag {
namespace {

std::string StringOf(const GValue* value) {
  const gchar* text = g_value_get_string(value);
  return text != nullptr ? text : "";
}

void SetText(GValue* value, const std::string& text) {
  g_value_set_string(value, text.empty() ? nullptr : text.c_str());
}

// The three groups of properties, told apart by how they reach the element; false if not of that
// group.
bool SetFixed(ClipTag& tag, guint id, const GValue* value, const char* name) {
  switch (id) {
    case PROP_MODEL:
      tag.ChangeFixed(name, [&](FixedSettings& s) { s.model = StringOf(value); });
      return true;
    case PROP_BACKEND:
      tag.ChangeFixed(name, [&](FixedSettings& s) {
        s.backend.kind = static_cast<BackendKind>(g_value_get_enum(value));
      });
      return true;
    case PROP_DEVICE:
      tag.ChangeFixed(name, [&](FixedSettings& s) {
        s.backend.device = static_cast<int>(g_value_get_uint(value));
      });
      return true;
    case PROP_PRECISION:
      tag.ChangeFixed(name, [&](FixedSettings& s) {
        s.backend.precision = static_cast<Precision>(g_value_get_enum(value));
      });
      return true;
    case PROP_THREADS:
      tag.ChangeFixed(name, [&](FixedSettings& s) {
        s.backend.threads = static_cast<int>(g_value_get_uint(value));
      });
      return true;
    case PROP_METRICS_FILE:
      tag.ChangeFixed(name, [&](FixedSettings& s) { s.metrics_file = StringOf(value); });
      return true;
    default:
      return false;
  }
}

bool SetPrompts(ClipTag& tag, guint id, const GValue* value) {
  std::string PromptSettings::*member = nullptr;
  switch (id) {
    case PROP_PROMPTS:
      member = &PromptSettings::prompts;
      break;
    case PROP_PROMPTS_FILE:
      member = &PromptSettings::prompts_file;
      break;
    case PROP_TEMPLATES:
      member = &PromptSettings::templates;
      break;
    case PROP_BACKGROUND:
      member = &PromptSettings::background;
      break;
    default:
      return false;
  }
  tag.ChangePrompts([&](PromptSettings& s) { s.*member = StringOf(value); });
  return true;
}

bool SetPolicy(ClipTag& tag, guint id, const GValue* value) {
  if (id < PROP_SCORING || id > PROP_TOP_K) return false;
  tag.ChangePolicy([&](PolicyOptions& policy) {
    switch (id) {
      case PROP_SCORING:
        policy.scoring = static_cast<Scoring>(g_value_get_enum(value));
        break;
      case PROP_TEMPERATURE:
        policy.temperature = g_value_get_double(value);
        break;
      case PROP_THRESHOLD:
        policy.threshold = g_value_get_double(value);
        break;
      case PROP_OFF_THRESHOLD:
        policy.off_threshold = g_value_get_double(value);
        break;
      case PROP_SMOOTHING:
        policy.smoothing_ns = g_value_get_uint64(value);
        break;
      case PROP_MIN_DURATION:
        policy.min_duration_ns = g_value_get_uint64(value);
        break;
      default:
        policy.top_k = static_cast<int>(g_value_get_uint(value));
    }
  });
  return true;
}

bool SetFrame(ClipTag& tag, guint id, const GValue* value) {
  if (id < PROP_INTERVAL || id > PROP_POST_MESSAGES) return false;
  tag.ChangeFrame([&](FrameSettings& frame) {
    switch (id) {
      case PROP_INTERVAL:
        frame.interval = g_value_get_uint(value);
        break;
      case PROP_MAX_RATE:
        frame.max_rate_n = gst_value_get_fraction_numerator(value);
        frame.max_rate_d = gst_value_get_fraction_denominator(value);
        break;
      case PROP_MAX_BATCH:
        frame.max_batch = g_value_get_uint(value);
        break;
      case PROP_BATCH_TIMEOUT:
        frame.batch_timeout_ns = g_value_get_uint64(value);
        break;
      case PROP_FIT:
        frame.tiles = g_value_get_enum(value) == kFitTiles;
        frame.fit = frame.tiles ? Fit::kModel : static_cast<Fit>(g_value_get_enum(value));
        break;
      case PROP_TILE_ROWS:
        frame.tile_rows = g_value_get_uint(value);
        break;
      case PROP_REGIONS:
        frame.regions = static_cast<Regions>(g_value_get_enum(value));
        break;
      case PROP_ORIENTATION:
        frame.orientation.reset();
        if (const int asked = g_value_get_enum(value); asked != kOrientationAuto)
          frame.orientation = static_cast<Orientation>(asked);
        break;
      case PROP_MODE:
        frame.mode = static_cast<Mode>(g_value_get_enum(value));
        break;
      case PROP_STILL_THRESHOLD:
        frame.still_threshold = g_value_get_double(value);
        break;
      case PROP_QOS:
        frame.qos = g_value_get_boolean(value);
        break;
      case PROP_ATTACH_EMBEDDING:
        frame.attach_embedding = g_value_get_boolean(value);
        break;
      default:
        frame.post_messages = g_value_get_boolean(value);
    }
  });
  return true;
}

bool GetText(const Settings& s, guint id, GValue* value) {
  switch (id) {
    case PROP_MODEL:
      g_value_set_string(value, s.fixed.model.c_str());
      return true;
    case PROP_BACKEND:
      g_value_set_enum(value, Int(s.fixed.backend.kind));
      return true;
    case PROP_DEVICE:
      g_value_set_uint(value, static_cast<guint>(s.fixed.backend.device));
      return true;
    case PROP_PRECISION:
      g_value_set_enum(value, Int(s.fixed.backend.precision));
      return true;
    case PROP_THREADS:
      g_value_set_uint(value, static_cast<guint>(s.fixed.backend.threads));
      return true;
    case PROP_METRICS_FILE:
      SetText(value, s.fixed.metrics_file);
      return true;
    case PROP_PROMPTS:
      SetText(value, s.prompts.prompts);
      return true;
    case PROP_PROMPTS_FILE:
      SetText(value, s.prompts.prompts_file);
      return true;
    case PROP_TEMPLATES:
      SetText(value, s.prompts.templates);
      return true;
    case PROP_BACKGROUND:
      SetText(value, s.prompts.background);
      return true;
    default:
      return false;
  }
}

bool GetPolicyOrFrame(const Settings& s, guint id, GValue* value) {
  switch (id) {
    case PROP_SCORING:
      g_value_set_enum(value, Int(s.policy.scoring));
      return true;
    case PROP_TEMPERATURE:
      g_value_set_double(value, s.policy.temperature);
      return true;
    case PROP_THRESHOLD:
      g_value_set_double(value, s.policy.threshold);
      return true;
    case PROP_OFF_THRESHOLD:
      g_value_set_double(value, s.policy.off_threshold);
      return true;
    case PROP_SMOOTHING:
      g_value_set_uint64(value, s.policy.smoothing_ns);
      return true;
    case PROP_MIN_DURATION:
      g_value_set_uint64(value, s.policy.min_duration_ns);
      return true;
    case PROP_TOP_K:
      g_value_set_uint(value, static_cast<guint>(s.policy.top_k));
      return true;
    case PROP_INTERVAL:
      g_value_set_uint(value, s.frame.interval);
      return true;
    case PROP_MAX_RATE:
      gst_value_set_fraction(value, s.frame.max_rate_n, s.frame.max_rate_d);
      return true;
    case PROP_MAX_BATCH:
      g_value_set_uint(value, s.frame.max_batch);
      return true;
    case PROP_BATCH_TIMEOUT:
      g_value_set_uint64(value, s.frame.batch_timeout_ns);
      return true;
    case PROP_FIT:
      g_value_set_enum(value, s.frame.tiles ? kFitTiles : Int(s.frame.fit));
      return true;
    case PROP_TILE_ROWS:
      g_value_set_uint(value, s.frame.tile_rows);
      return true;
    case PROP_REGIONS:
      g_value_set_enum(value, Int(s.frame.regions));
      return true;
    case PROP_ORIENTATION:
      g_value_set_enum(value, s.frame.orientation ? Int(*s.frame.orientation) : kOrientationAuto);
      return true;
    case PROP_MODE:
      g_value_set_enum(value, Int(s.frame.mode));
      return true;
    case PROP_STILL_THRESHOLD:
      g_value_set_double(value, s.frame.still_threshold);
      return true;
    case PROP_QOS:
      g_value_set_boolean(value, s.frame.qos);
      return true;
    case PROP_ATTACH_EMBEDDING:
      g_value_set_boolean(value, s.frame.attach_embedding);
      return true;
    case PROP_POST_MESSAGES:
      g_value_set_boolean(value, s.frame.post_messages);
      return true;
    default:
      return false;
  }
}

bool SetAny(ClipTag& tag, guint id, const GValue* value, const char* name) {
  if (SetFixed(tag, id, value, name) || SetPrompts(tag, id, value) || SetPolicy(tag, id, value)) {
    return true;
  }
  if (!SetFrame(tag, id, value)) return false;
  if (id == PROP_BATCH_TIMEOUT || id == PROP_MODE) tag.LatencyMayHaveChanged();
  return true;
}

bool GetAny(const ClipTag& tag, guint id, GValue* value) {
  if (id == PROP_STATS) {
    g_value_take_boxed(value, tag.Stats());
    return true;
  }
  const Settings settings = tag.settings();
  return GetText(settings, id, value) || GetPolicyOrFrame(settings, id, value);
}

// No exception leaves a vfunc.
template <typename F>
void Guard(GObject* object, guint id, GParamSpec* spec, F&& body) {
  try {
    if (!body(*GST_CLIP_TAG(object)->impl.load(std::memory_order_acquire)))
      G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, spec);
  } catch (...) {
    GST_ELEMENT_WARNING(
        object, CORE, FAILED,
        ("The property %s was not taken. %s", spec->name, CaughtException().message().c_str()),
        (nullptr));
  }
}

}  // namespace
}  // namespace cliptag

void gst_clip_tag_set_property(GObject* object, guint id, const GValue* value, GParamSpec* spec) {
  cliptag::Guard(object, id, spec, [&](cliptag::ClipTag& tag) {
    return cliptag::SetAny(tag, id, value, spec->name);
  });
}

void gst_clip_tag_get_property(GObject* object, guint id, GValue* value, GParamSpec* spec) {
  cliptag::Guard(object, id, spec,
                 [&](cliptag::ClipTag& tag) { return cliptag::GetAny(tag, id, value); });
}
