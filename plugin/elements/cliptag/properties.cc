// What the properties of `cliptag` are called and mean.
#include "plugin/elements/cliptag/properties.h"

#include "kernels/backend.h"
#include "kernels/frame.h"
#include "plugin/elements/cliptag/settings.h"
#include "plugin/engine/tag_policy.h"

namespace cliptag {
namespace {

constexpr auto kFixed =
    static_cast<GParamFlags>(G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_READY);
constexpr auto kPlaying = static_cast<GParamFlags>(G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS |
                                                   GST_PARAM_MUTABLE_PLAYING);

GType BackendType() {
  static const GEnumValue values[] = {
      {Int(BackendKind::kAuto), "The best that this machine has", "auto"},
      {Int(BackendKind::kCpu), "The CPU", "cpu"},
      {Int(BackendKind::kCuda), "An NVIDIA GPU", "cuda"},
      {0, nullptr, nullptr}};
  static const GType type = g_enum_register_static("GstClipTagBackend", values);
  return type;
}

GType PrecisionType() {
  static const GEnumValue values[] = {
      {Int(Precision::kAuto), "The fastest that keeps the tags of this model right", "auto"},
      {Int(Precision::kFp32), "32-bit floating point", "fp32"},
      {Int(Precision::kBf16), "bfloat16", "bf16"},
      {Int(Precision::kFp16), "16-bit floating point", "fp16"},
      {Int(Precision::kInt8), "8-bit integers", "int8"},
      {0, nullptr, nullptr}};
  static const GType type = g_enum_register_static("GstClipTagPrecision", values);
  return type;
}

GType ScoringType() {
  static const GEnumValue values[] = {
      {Int(Scoring::kContrast), "Each tag on its own, against the background and its negatives",
       "contrast"},
      {Int(Scoring::kSoftmax), "All tags against each other; they sum to 1", "softmax"},
      {Int(Scoring::kSigmoid), "Each tag on its own, by the model's scale and bias", "sigmoid"},
      {Int(Scoring::kCosine), "(cosine + 1) / 2", "cosine"},
      {0, nullptr, nullptr}};
  static const GType type = g_enum_register_static("GstClipTagScoring", values);
  return type;
}

GType FitType() {
  static const GEnumValue values[] = {
      {Int(Fit::kModel), "As the model's files say", "model"},
      {Int(Fit::kCrop), "The square in the middle", "crop"},
      {Int(Fit::kSquash), "Everything, its proportions changed", "squash"},
      {Int(Fit::kLetterbox), "Everything, with bars", "letterbox"},
      {kFitTiles, "Overlapping squares that cover it; each tag from its best one, with its place",
       "tiles"},
      {0, nullptr, nullptr}};
  static const GType type = g_enum_register_static("GstClipTagFit", values);
  return type;
}

GType RegionsType() {
  static const GEnumValue values[] = {
      {Int(Regions::kFrame), "The frame", "frame"},
      {Int(Regions::kObjects), "The objects that elements before this one have found", "objects"},
      {Int(Regions::kBoth), "The frame and the objects", "both"},
      {0, nullptr, nullptr}};
  static const GType type = g_enum_register_static("GstClipTagRegions", values);
  return type;
}

GType OrientationType() {
  static const GEnumValue values[] = {
      {kOrientationAuto,
       "As the image-orientation tag says, unless an element before this one has turned it",
       "auto"},
      {Int(Orientation::kRotate0), "As it comes", "none"},
      {Int(Orientation::kRotate90), "Turned by 90 degrees clockwise", "rotate-90"},
      {Int(Orientation::kRotate180), "Turned by 180 degrees", "rotate-180"},
      {Int(Orientation::kRotate270), "Turned by 270 degrees clockwise", "rotate-270"},
      {Int(Orientation::kFlipRotate0), "Mirrored left-right", "flip-rotate-0"},
      {Int(Orientation::kFlipRotate90), "Mirrored, then turned by 90 degrees", "flip-rotate-90"},
      {Int(Orientation::kFlipRotate180), "Mirrored, then turned by 180 degrees", "flip-rotate-180"},
      {Int(Orientation::kFlipRotate270), "Mirrored, then turned by 270 degrees", "flip-rotate-270"},
      {0, nullptr, nullptr}};
  static const GType type = g_enum_register_static("GstClipTagOrientation", values);
  return type;
}

GType ModeType() {
  static const GEnumValue values[] = {
      {Int(Mode::kAuto), "live in live pipelines, else exact", "auto"},
      {Int(Mode::kExact), "Every frame that is looked at leaves with its own tags, in order",
       "exact"},
      {Int(Mode::kLive), "Frames are never held back; the newest tags ride along with their age",
       "live"},
      {0, nullptr, nullptr}};
  static const GType type = g_enum_register_static("GstClipTagMode", values);
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
                        Int(BackendKind::kAuto), kFixed));
  g_object_class_install_property(
      klass, PROP_DEVICE,
      g_param_spec_uint("device", "Device", "Which device of the backend, counted from 0", 0,
                        G_MAXINT, 0, kFixed));
  g_object_class_install_property(
      klass, PROP_PRECISION,
      g_param_spec_enum(
          "precision", "Precision",
          "Numbers that the model computes in; auto on the CPU is int8 where a trial at "
          "the first start finds it right for the model, else bf16 or fp32",
          PrecisionType(), Int(Precision::kAuto), kFixed));
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
                          "A file with one label a line, or JSON with prompts, negatives, pictures "
                          "and thresholds per tag, or a bank of embeddings; read again when it "
                          "changes; wins over 'prompts'",
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
                        ScoringType(), Int(Scoring::kContrast), kPlaying));
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
      klass, PROP_SMOOTHING,
      g_param_spec_uint64("smoothing", "Smoothing",
                          "Time constant, in ns, of the exponential mean of scores that is held to "
                          "the thresholds (0 = each score by itself)",
                          0, G_MAXINT64, 0, kPlaying));
  g_object_class_install_property(
      klass, PROP_MIN_DURATION,
      g_param_spec_uint64("min-duration", "Minimum duration",
                          "Shortest span, in ns, for which a tag becomes active; shorter ones are "
                          "never told (a prompts file may say otherwise per tag, in seconds)",
                          0, G_MAXINT64, 0, kPlaying));
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
                        Int(Fit::kModel), kPlaying));
  g_object_class_install_property(
      klass, PROP_TILE_ROWS,
      g_param_spec_uint("tile-rows", "Tile rows",
                        "With fit=tiles: squares along the shorter side of the frame", 1, 8, 2,
                        kPlaying));
  g_object_class_install_property(
      klass, PROP_REGIONS,
      g_param_spec_enum("regions", "Regions",
                        "What is tagged: the frame, or what detectors before this element have "
                        "marked in it, as GstVideoRegionOfInterestMeta or analytics metadata",
                        RegionsType(), Int(Regions::kFrame), kPlaying));
  g_object_class_install_property(
      klass, PROP_ORIENTATION,
      g_param_spec_enum("orientation", "Orientation", "How frames are turned before they are seen",
                        OrientationType(), kOrientationAuto, kPlaying));
  g_object_class_install_property(
      klass, PROP_MODE,
      g_param_spec_enum("mode", "Mode", "Whether frames wait for their tags", ModeType(),
                        Int(Mode::kAuto), kPlaying));
  g_object_class_install_property(
      klass, PROP_STILL_THRESHOLD,
      g_param_spec_double(
          "still-threshold", "Still threshold",
          "While a small picture of the frame's brightness differs from that of the frame last "
          "looked at by less than this on average (0..1), its tags stand (0 = off)",
          0, 1, 0, kPlaying));
  g_object_class_install_property(
      klass, PROP_QOS,
      g_param_spec_boolean(
          "qos", "Quality of service",
          "In mode exact, too, look at one frame a second alone while a sink says that it is late, "
          "and tell upstream; in mode live that is so in any case",
          FALSE, kPlaying));
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
  g_object_class_install_property(
      klass, PROP_METRICS_FILE,
      g_param_spec_string("metrics-file", "Metrics file",
                          "Where these statistics are written about once a second, in Prometheus' "
                          "text format; elements that name the same file share it",
                          nullptr, kFixed));
}

}  // namespace
}  // namespace cliptag

void gst_clip_tag_install_properties(GObjectClass* klass) {
  using namespace cliptag;
  InstallModelProperties(klass);
  InstallPromptProperties(klass);
  InstallPolicyProperties(klass);
  InstallFrameProperties(klass);
  for (const GType type : {BackendType(), PrecisionType(), ScoringType(), FitType(), RegionsType(),
                           OrientationType(), ModeType()}) {
    gst_type_mark_as_plugin_api(type, static_cast<GstPluginAPIFlags>(0));
  }
}
