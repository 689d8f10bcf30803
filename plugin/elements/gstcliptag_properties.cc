// The properties of `cliptag`: names, texts, and how they reach the settings.
#include <string>
#include <utility>

#include "plugin/elements/clip_tag.h"
#include "plugin/elements/gstcliptag.h"

namespace {

using cliptag::ClipTag;
using cliptag::FrameSettings;
using cliptag::PolicyOptions;
using cliptag::Settings;
using cliptag::TextSettings;

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
  PROP_TOP_K,
  PROP_INTERVAL,
  PROP_MAX_RATE,
  PROP_MAX_BATCH,
  PROP_BATCH_TIMEOUT,
  PROP_FIT,
  PROP_ATTACH_EMBEDDING,
  PROP_POST_MESSAGES,
  PROP_STATS,
};

constexpr auto kFixed =
    static_cast<GParamFlags>(G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_READY);
constexpr auto kPlaying = static_cast<GParamFlags>(G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS |
                                                   GST_PARAM_MUTABLE_PLAYING);

// The values of an enum are those of the core's.
template <typename E>
constexpr int Int(E value) {
  return static_cast<int>(value);
}

GType BackendType() {
  static const GEnumValue values[] = {
      {Int(cliptag::BackendKind::kAuto), "The best that this machine has", "auto"},
      {Int(cliptag::BackendKind::kCpu), "The CPU", "cpu"},
      {Int(cliptag::BackendKind::kCuda), "An NVIDIA GPU", "cuda"},
      {0, nullptr, nullptr}};
  static const GType type = g_enum_register_static("GstClipTagBackend", values);
  return type;
}

GType PrecisionType() {
  static const GEnumValue values[] = {
      {Int(cliptag::Precision::kAuto), "The fastest that keeps the tags right", "auto"},
      {Int(cliptag::Precision::kFp32), "32-bit floating point", "fp32"},
      {Int(cliptag::Precision::kBf16), "bfloat16", "bf16"},
      {Int(cliptag::Precision::kFp16), "16-bit floating point", "fp16"},
      {Int(cliptag::Precision::kInt8), "8-bit integers", "int8"},
      {0, nullptr, nullptr}};
  static const GType type = g_enum_register_static("GstClipTagPrecision", values);
  return type;
}

GType ScoringType() {
  static const GEnumValue values[] = {
      {Int(cliptag::Scoring::kContrast),
       "Each tag on its own, against the background and its negatives", "contrast"},
      {Int(cliptag::Scoring::kSoftmax), "All tags against each other; they sum to 1", "softmax"},
      {Int(cliptag::Scoring::kSigmoid), "Each tag on its own, by the model's scale and bias",
       "sigmoid"},
      {Int(cliptag::Scoring::kCosine), "(cosine + 1) / 2", "cosine"},
      {0, nullptr, nullptr}};
  static const GType type = g_enum_register_static("GstClipTagScoring", values);
  return type;
}

GType FitType() {
  static const GEnumValue values[] = {
      {Int(cliptag::Fit::kModel), "As the model's files say", "model"},
      {Int(cliptag::Fit::kCrop), "The square in the middle", "crop"},
      {Int(cliptag::Fit::kSquash), "Everything, its proportions changed", "squash"},
      {Int(cliptag::Fit::kLetterbox), "Everything, with bars", "letterbox"},
      {0, nullptr, nullptr}};
  static const GType type = g_enum_register_static("GstClipTagFit", values);
  return type;
}

void InstallModelProperties(GObjectClass* klass) {
  g_object_class_install_property(
      klass, PROP_MODEL,
      g_param_spec_string(
          "model", "Model",
          "The CLIP model: a directory (Hugging Face or open_clip layout), or the name of one in "
          "$CLIPTAG_MODEL_PATH, the user's cache or the installed models. The built-in 'starter' "
          "knows emoji, clip art and small centred photos, not streets",
          "starter", kFixed));
  g_object_class_install_property(
      klass, PROP_BACKEND,
      g_param_spec_enum("backend", "Backend", "What computes", BackendType(),
                        Int(cliptag::BackendKind::kAuto), kFixed));
  g_object_class_install_property(
      klass, PROP_DEVICE,
      g_param_spec_uint("device", "Device", "Which device of the backend, counted from 0", 0,
                        G_MAXINT, 0, kFixed));
  g_object_class_install_property(
      klass, PROP_PRECISION,
      g_param_spec_enum("precision", "Precision", "Numbers that the model computes in",
                        PrecisionType(), Int(cliptag::Precision::kAuto), kFixed));
  g_object_class_install_property(
      klass, PROP_THREADS,
      g_param_spec_uint("threads", "Threads",
                        "Threads that compute (0 = all that this process may use)", 0, 1024, 0,
                        kFixed));
}

void InstallPromptProperties(GObjectClass* klass) {
  g_object_class_install_property(
      klass, PROP_PROMPTS,
      g_param_spec_string("prompts", "Prompts",
                          "What to look for: labels separated by ';' or newlines", nullptr,
                          kPlaying));
  g_object_class_install_property(
      klass, PROP_PROMPTS_FILE,
      g_param_spec_string("prompts-file", "Prompts file",
                          "A file with one label a line, or JSON with prompts, negatives and "
                          "thresholds per tag; read again when it changes; wins over 'prompts'",
                          nullptr, kPlaying));
  g_object_class_install_property(
      klass, PROP_TEMPLATES,
      g_param_spec_string("templates", "Templates",
                          "Sentences that labels are put into in place of {}, separated by ';' or "
                          "newlines (unset = the model's own, else 'a photo of a {}.')",
                          nullptr, kPlaying));
  g_object_class_install_property(
      klass, PROP_BACKGROUND,
      g_param_spec_string(
          "background", "Background",
          "What 'contrast' compares each tag with: what the camera sees when there "
          "is nothing to tag, separated by ';' or newlines (unset = a general list)",
          nullptr, kPlaying));
}

void InstallPolicyProperties(GObjectClass* klass) {
  g_object_class_install_property(
      klass, PROP_SCORING,
      g_param_spec_enum("scoring", "Scoring", "How likeness becomes a score from 0 to 1",
                        ScoringType(), Int(cliptag::Scoring::kContrast), kPlaying));
  g_object_class_install_property(
      klass, PROP_TEMPERATURE,
      g_param_spec_double("temperature", "Temperature",
                          "Divides the cosines before softmax or sigmoid: smaller is more decided "
                          "(0 = the model's own scale)",
                          0, 100, 0, kPlaying));
  g_object_class_install_property(
      klass, PROP_THRESHOLD,
      g_param_spec_double("threshold", "Threshold", "A tag becomes active at this score", 0, 1, 0.5,
                          kPlaying));
  g_object_class_install_property(
      klass, PROP_OFF_THRESHOLD,
      g_param_spec_double("off-threshold", "Off threshold",
                          "An active tag becomes inactive below this score (-1 = 0.8 x threshold)",
                          -1, 1, -1, kPlaying));
  g_object_class_install_property(
      klass, PROP_TOP_K,
      g_param_spec_uint("top-k", "Top k",
                        "How many tags are listed, best first (0 = all); active ones always are", 0,
                        G_MAXINT, 5, kPlaying));
}

void InstallFrameProperties(GObjectClass* klass) {
  g_object_class_install_property(
      klass, PROP_INTERVAL,
      g_param_spec_uint("interval", "Interval", "Look at every n-th frame", 1, G_MAXUINT, 1,
                        kPlaying));
  g_object_class_install_property(
      klass, PROP_MAX_RATE,
      gst_param_spec_fraction("max-rate", "Maximum rate",
                              "Look at no more frames per second than this (0/1 = no limit)", 0, 1,
                              G_MAXINT, 1, 0, 1, kPlaying));
  g_object_class_install_property(
      klass, PROP_MAX_BATCH,
      g_param_spec_uint(
          "max-batch", "Maximum batch",
          "Frames that are computed together at most (0 = the backend's choice); while "
          "playing it can go down, and up to what it was at the start",
          0, 1024, 0, kPlaying));
  g_object_class_install_property(
      klass, PROP_BATCH_TIMEOUT,
      g_param_spec_uint64("batch-timeout", "Batch timeout",
                          "How long a frame waits for others to be computed with, in ns", 0,
                          10 * GST_SECOND, 10 * GST_MSECOND, kPlaying));
  g_object_class_install_property(
      klass, PROP_FIT,
      g_param_spec_enum("fit", "Fit", "How a frame becomes the model's square", FitType(),
                        Int(cliptag::Fit::kModel), kPlaying));
  g_object_class_install_property(
      klass, PROP_ATTACH_EMBEDDING,
      g_param_spec_boolean("attach-embedding", "Attach embedding",
                           "Add the frame's embedding to meta and message", FALSE, kPlaying));
  g_object_class_install_property(
      klass, PROP_POST_MESSAGES,
      g_param_spec_boolean(
          "post-messages", "Post messages",
          "Post a 'cliptag' message for every frame looked at and a 'cliptag-event' "
          "for every tag that starts or ends",
          TRUE, kPlaying));
  g_object_class_install_property(
      klass, PROP_STATS,
      g_param_spec_boxed("stats", "Statistics", "Counts and latencies since the start",
                         GST_TYPE_STRUCTURE,
                         static_cast<GParamFlags>(G_PARAM_READABLE | G_PARAM_STATIC_STRINGS)));
}

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
      tag.ChangeFixed(name, [&](TextSettings& s) { s.model = StringOf(value); });
      return true;
    case PROP_BACKEND:
      tag.ChangeFixed(name, [&](TextSettings& s) {
        s.backend.kind = static_cast<cliptag::BackendKind>(g_value_get_enum(value));
      });
      return true;
    case PROP_DEVICE:
      tag.ChangeFixed(name, [&](TextSettings& s) {
        s.backend.device = static_cast<int>(g_value_get_uint(value));
      });
      return true;
    case PROP_PRECISION:
      tag.ChangeFixed(name, [&](TextSettings& s) {
        s.backend.precision = static_cast<cliptag::Precision>(g_value_get_enum(value));
      });
      return true;
    case PROP_THREADS:
      tag.ChangeFixed(name, [&](TextSettings& s) {
        s.backend.threads = static_cast<int>(g_value_get_uint(value));
      });
      return true;
    default:
      return false;
  }
}

bool SetPrompts(ClipTag& tag, guint id, const GValue* value) {
  std::string TextSettings::*member = nullptr;
  switch (id) {
    case PROP_PROMPTS:
      member = &TextSettings::prompts;
      break;
    case PROP_PROMPTS_FILE:
      member = &TextSettings::prompts_file;
      break;
    case PROP_TEMPLATES:
      member = &TextSettings::templates;
      break;
    case PROP_BACKGROUND:
      member = &TextSettings::background;
      break;
    default:
      return false;
  }
  tag.ChangePrompts([&](TextSettings& s) { s.*member = StringOf(value); });
  return true;
}

bool SetPolicy(ClipTag& tag, guint id, const GValue* value) {
  if (id < PROP_SCORING || id > PROP_TOP_K) return false;
  tag.ChangePolicy([&](PolicyOptions& policy) {
    switch (id) {
      case PROP_SCORING:
        policy.scoring = static_cast<cliptag::Scoring>(g_value_get_enum(value));
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
        frame.fit = static_cast<cliptag::Fit>(g_value_get_enum(value));
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
      g_value_set_string(value, s.text.model.c_str());
      return true;
    case PROP_BACKEND:
      g_value_set_enum(value, Int(s.text.backend.kind));
      return true;
    case PROP_DEVICE:
      g_value_set_uint(value, static_cast<guint>(s.text.backend.device));
      return true;
    case PROP_PRECISION:
      g_value_set_enum(value, Int(s.text.backend.precision));
      return true;
    case PROP_THREADS:
      g_value_set_uint(value, static_cast<guint>(s.text.backend.threads));
      return true;
    case PROP_PROMPTS:
      SetText(value, s.text.prompts);
      return true;
    case PROP_PROMPTS_FILE:
      SetText(value, s.text.prompts_file);
      return true;
    case PROP_TEMPLATES:
      SetText(value, s.text.templates);
      return true;
    case PROP_BACKGROUND:
      SetText(value, s.text.background);
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
      g_value_set_enum(value, Int(s.frame.fit));
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

}  // namespace

void gst_clip_tag_install_properties(GObjectClass* klass) {
  InstallModelProperties(klass);
  InstallPromptProperties(klass);
  InstallPolicyProperties(klass);
  InstallFrameProperties(klass);
  for (const GType type : {BackendType(), PrecisionType(), ScoringType(), FitType()}) {
    gst_type_mark_as_plugin_api(type, static_cast<GstPluginAPIFlags>(0));
  }
}

void gst_clip_tag_set_property(GObject* object, guint id, const GValue* value, GParamSpec* spec) {
  ClipTag& tag = *GST_CLIP_TAG(object)->impl;
  if (SetFixed(tag, id, value, spec->name) || SetPrompts(tag, id, value) ||
      SetPolicy(tag, id, value)) {
    return;
  }
  if (SetFrame(tag, id, value)) {
    if (id == PROP_BATCH_TIMEOUT) tag.LatencyMayHaveChanged();
    return;
  }
  G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, spec);
}

void gst_clip_tag_get_property(GObject* object, guint id, GValue* value, GParamSpec* spec) {
  const ClipTag& tag = *GST_CLIP_TAG(object)->impl;
  if (id == PROP_STATS) {
    g_value_take_boxed(value, tag.Stats());
    return;
  }
  const Settings settings = tag.settings();
  if (GetText(settings, id, value) || GetPolicyOrFrame(settings, id, value)) return;
  G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, spec);
}
