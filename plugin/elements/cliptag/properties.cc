#include "plugin/elements/cliptag/properties.h"

#include "kernels/base/caught.h"
#include "plugin/elements/cliptag/clip_tag.h"
#include "plugin/elements/cliptag/gstcliptag.h"
#include "plugin/elements/cliptag/property_types.h"
#include "plugin/gst/glib_order.h"
#include "plugin/gst/property_table.h"

namespace cliptag {
namespace {

constexpr auto kReady =
    static_cast<GParamFlags>(G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_READY);
constexpr auto kPlaying = static_cast<GParamFlags>(G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS |
                                                   GST_PARAM_MUTABLE_PLAYING);
constexpr auto kReadOnly = static_cast<GParamFlags>(G_PARAM_READABLE | G_PARAM_STATIC_STRINGS);

using Access = Property<ClipTag>::Access;

// The setting at the end of a path of member pointers: At<&FixedSettings::backend,
// &BackendOptions::kind>(fixed) is fixed.backend.kind.
template <auto... kPath>
auto& At(auto& settings) {
  return (settings.*....*kPath);
}

template <auto... kPath>
void Get(const ClipTag& tag, GValue* value) {
  const Settings settings = tag.settings();
  Give(At<kPath...>(settings), value);
}

// How a property is read and written, by the group its setting belongs to: kFixed cannot change
// while running, kPrompts makes a new prompt bank, kPolicy acts on the next scores, kFrame on the
// next frame (and may change the latency).
template <auto... kPath>
constexpr Access kFixed = {[](ClipTag& tag, const GValue* value, const char* name) {
                             tag.ChangeFixed(
                                 name, [&](FixedSettings& s) { Take(value, &At<kPath...>(s)); });
                           },
                           Get<&Settings::fixed, kPath...>};

template <auto kMember>
constexpr Access kPrompts = {
    [](ClipTag& tag, const GValue* value, const char*) {
      tag.ChangePrompts([&](PromptSource& s) { Take(value, &At<kMember>(s)); });
    },
    Get<&Settings::prompts, kMember>};

template <auto kMember>
constexpr Access kPolicy = {
    [](ClipTag& tag, const GValue* value, const char*) {
      tag.ChangePolicy([&](PolicyOptions& s) { Take(value, &At<kMember>(s)); });
    },
    Get<&Settings::policy, kMember>};

template <auto kMember>
constexpr Access kFrame = {
    [](ClipTag& tag, const GValue* value, const char*) {
      tag.ChangeFrame([&](FrameSettings& s) { Take(value, &At<kMember>(s)); });
      tag.LatencyMayHaveChanged();
    },
    Get<&Settings::frame, kMember>};

// Those that are no plain member.
constexpr Access kMaxRate = {[](ClipTag& tag, const GValue* value, const char*) {
                               tag.ChangeFrame([&](FrameSettings& s) {
                                 s.max_rate = {gst_value_get_fraction_numerator(value),
                                               gst_value_get_fraction_denominator(value)};
                               });
                             },
                             [](const ClipTag& tag, GValue* value) {
                               const Rate rate = tag.settings().frame.max_rate;
                               gst_value_set_fraction(value, rate.n, rate.d);
                             }};

constexpr Access kFit = {[](ClipTag& tag, const GValue* value, const char*) {
                           tag.ChangeFrame([&](FrameSettings& s) {
                             const int fit = g_value_get_enum(value);
                             s.tiles = fit == kFitTiles;
                             s.fit = s.tiles ? Fit::kModel : static_cast<Fit>(fit);
                           });
                         },
                         [](const ClipTag& tag, GValue* value) {
                           const FrameSettings frame = tag.settings().frame;
                           g_value_set_enum(value, frame.tiles ? kFitTiles : Int(frame.fit));
                         }};

constexpr Access kOrientation = {
    [](ClipTag& tag, const GValue* value, const char*) {
      tag.ChangeFrame([&](FrameSettings& s) {
        const int orientation = g_value_get_enum(value);
        s.orientation.reset();
        if (orientation != kOrientationAuto) {
          s.orientation = static_cast<Orientation>(orientation);
        }
      });
    },
    [](const ClipTag& tag, GValue* value) {
      const std::optional<Orientation> orientation = tag.settings().frame.orientation;
      g_value_set_enum(value, orientation ? Int(*orientation) : kOrientationAuto);
    }};

constexpr Access kStats = {
    nullptr, [](const ClipTag& tag, GValue* value) { g_value_take_boxed(value, tag.Stats()); }};

constexpr Property<ClipTag> kProperties[] = {
    {"model",
     "The CLIP model: a directory (Hugging Face or open_clip layout), a file of weights, or the "
     "name of a model in $CLIPTAG_MODEL_PATH, the user's cache or the installed models. The "
     "built-in 'starter' knows emoji, clip art and small centred photos, not streets",
     [](auto... text) { return g_param_spec_string(text..., "starter", kReady); },
     kFixed<&FixedSettings::model>},
    {"backend", "Where inference runs",
     [](auto... text) {
       return g_param_spec_enum(text..., BackendType(), Int(BackendKind::kAuto), kReady);
     },
     kFixed<&FixedSettings::backend, &BackendOptions::kind>},
    {"device", "Which of the backend's devices, counted from 0",
     [](auto... text) { return g_param_spec_uint(text..., 0, G_MAXINT, 0, kReady); },
     kFixed<&FixedSettings::backend, &BackendOptions::device>},
    {"precision",
     "Number format of inference; auto on the CPU takes int8 if a trial at the first start shows "
     "that the model's tags stay right, else bf16 or fp32",
     [](auto... text) {
       return g_param_spec_enum(text..., PrecisionType(), Int(Precision::kAuto), kReady);
     },
     kFixed<&FixedSettings::backend, &BackendOptions::precision>},
    {"threads", "CPU threads for inference (0 = all that this process may use)",
     [](auto... text) { return g_param_spec_uint(text..., 0, 1024, 0, kReady); },
     kFixed<&FixedSettings::backend, &BackendOptions::threads>},
    {"metrics-file",
     "A file that 'stats' is written to about once a second, in Prometheus' text format; elements "
     "that name the same file share it",
     [](auto... text) { return g_param_spec_string(text..., nullptr, kReady); },
     kFixed<&FixedSettings::metrics_file>},

    {"prompts", "Labels to look for, separated by ';' or newlines",
     [](auto... text) { return g_param_spec_string(text..., nullptr, kPlaying); },
     kPrompts<&PromptSource::prompts>},
    {"prompts-file",
     "A file with one label a line, or JSON with prompts, negatives, pictures and thresholds per "
     "tag, or a bank of embeddings; read again when it changes; wins over 'prompts'",
     [](auto... text) { return g_param_spec_string(text..., nullptr, kPlaying); },
     kPrompts<&PromptSource::prompts_file>},
    {"templates",
     "Sentences with {} in place of the label, separated by ';' or newlines (unset = the model's "
     "own, else 'a photo of a {}.')",
     [](auto... text) { return g_param_spec_string(text..., nullptr, kPlaying); },
     kPrompts<&PromptSource::templates>},
    {"background",
     "What 'contrast' compares each tag with: what the camera sees when there is nothing to tag, "
     "separated by ';' or newlines (unset = a general list)",
     [](auto... text) { return g_param_spec_string(text..., nullptr, kPlaying); },
     kPrompts<&PromptSource::background>},

    {"scoring", "How a similarity becomes a score from 0 to 1",
     [](auto... text) {
       return g_param_spec_enum(text..., ScoringType(), Int(Scoring::kContrast), kPlaying);
     },
     kPolicy<&PolicyOptions::scoring>},
    {"temperature",
     "Divides the cosines in contrast, softmax and sigmoid: the smaller, the further apart the "
     "scores (0 = the model's logit scale)",
     [](auto... text) { return g_param_spec_double(text..., 0, 100, 0, kPlaying); },
     kPolicy<&PolicyOptions::temperature>},
    {"threshold", "A tag becomes active at this score",
     [](auto... text) { return g_param_spec_double(text..., 0, 1, 0.5, kPlaying); },
     kPolicy<&PolicyOptions::threshold>},
    {"off-threshold", "An active tag becomes inactive below this score (-1 = 0.8 x threshold)",
     [](auto... text) { return g_param_spec_double(text..., -1, 1, -1, kPlaying); },
     kPolicy<&PolicyOptions::off_threshold>},
    {"smoothing",
     "Time constant, in ns, of the exponential moving average of scores that is compared with the "
     "thresholds (0 = no smoothing)",
     [](auto... text) { return g_param_spec_uint64(text..., 0, G_MAXINT64, 0, kPlaying); },
     kPolicy<&PolicyOptions::smoothing_ns>},
    {"min-duration",
     "A tag becomes active once it has held for this time, in ns. The field \"min-duration\" of a "
     "prompts file wins for its tag and is in seconds",
     [](auto... text) { return g_param_spec_uint64(text..., 0, G_MAXINT64, 0, kPlaying); },
     kPolicy<&PolicyOptions::min_duration_ns>},
    {"top-k", "How many tags are listed, best first (0 = all); active ones always are",
     [](auto... text) { return g_param_spec_uint(text..., 0, G_MAXINT, 5, kPlaying); },
     kPolicy<&PolicyOptions::top_k>},

    {"interval", "Run inference on every n-th frame",
     [](auto... text) { return g_param_spec_uint(text..., 1, G_MAXUINT, 1, kPlaying); },
     kFrame<&FrameSettings::interval>},
    {"max-rate", "Run inference on at most so many frames a second (0/1 = no limit)",
     [](auto... text) {
       return gst_param_spec_fraction(text..., 0, 1, G_MAXINT, 1, 0, 1, kPlaying);
     },
     kMaxRate},
    {"max-batch",
     "Most frames in a batch (0 = the backend's choice); while playing it can go down, and up to "
     "what it was at the start",
     [](auto... text) { return g_param_spec_uint(text..., 0, 1024, 0, kPlaying); },
     kFrame<&FrameSettings::max_batch>},
    {"batch-timeout", "How long a frame waits for others to fill its batch, in ns",
     [](auto... text) {
       return g_param_spec_uint64(text..., 0, 10 * GST_SECOND, 10 * GST_MSECOND, kPlaying);
     },
     kFrame<&FrameSettings::batch_timeout_ns>},
    {"fit", "How a frame becomes the model's square input",
     [](auto... text) { return g_param_spec_enum(text..., FitType(), Int(Fit::kModel), kPlaying); },
     kFit},
    {"tile-rows", "With fit=tiles: squares along the shorter side of the frame",
     [](auto... text) { return g_param_spec_uint(text..., 1, 8, 2, kPlaying); },
     kFrame<&FrameSettings::tile_rows>},
    {"regions",
     "What is tagged: the frame, or the objects that detectors before this element have attached, "
     "as GstVideoRegionOfInterestMeta or analytics metadata",
     [](auto... text) {
       return g_param_spec_enum(text..., RegionsType(), Int(Regions::kFrame), kPlaying);
     },
     kFrame<&FrameSettings::regions>},
    {"orientation", "How frames are rotated before inference",
     [](auto... text) {
       return g_param_spec_enum(text..., OrientationType(), kOrientationAuto, kPlaying);
     },
     kOrientation},
    {"mode", "Whether frames wait for inference",
     [](auto... text) {
       return g_param_spec_enum(text..., ModeType(), Int(Mode::kAuto), kPlaying);
     },
     kFrame<&FrameSettings::mode>},
    {"still-threshold",
     "The last tags stay, without inference, while the brightness of a thumbnail differs from that "
     "of the last inferred frame by less than this on average (0..1; 0 = off)",
     [](auto... text) { return g_param_spec_double(text..., 0, 1, 0, kPlaying); },
     kFrame<&FrameSettings::still_threshold>},
    {"qos",
     "In mode exact, too: run inference on one frame a second only while a sink reports that it is "
     "late, and pass its report on upstream. Mode live always does",
     [](auto... text) { return g_param_spec_boolean(text..., FALSE, kPlaying); },
     kFrame<&FrameSettings::qos>},
    {"attach-embedding", "Add the frame's embedding to meta and message",
     [](auto... text) { return g_param_spec_boolean(text..., FALSE, kPlaying); },
     kFrame<&FrameSettings::attach_embedding>},
    {"post-messages",
     "Post a message 'cliptag' for every inference, 'cliptag-event' for every start and end of a "
     "tag, and 'cliptag-prompts' for new prompts",
     [](auto... text) { return g_param_spec_boolean(text..., TRUE, kPlaying); },
     kFrame<&FrameSettings::post_messages>},

    {"stats", "Counters and latencies since the start",
     [](auto... text) { return g_param_spec_boxed(text..., GST_TYPE_STRUCTURE, kReadOnly); },
     kStats},
};

// No exception leaves a vfunc.
template <typename F>
void Guard(GObject* object, const GParamSpec* spec, F&& body) {
  try {
    GlibAcquire(object);
    body(*GST_CLIP_TAG(object)->impl);
  } catch (...) {
    GST_ELEMENT_WARNING(
        object, CORE, FAILED,
        ("The property %s was not taken. %s", spec->name, CaughtException().message().c_str()),
        (nullptr));
  }
}

}  // namespace
}  // namespace cliptag

void gst_clip_tag_install_properties(GObjectClass* klass) {
  cliptag::InstallProperties(klass, cliptag::kProperties);
}

// GObject asks for ids that are installed, and sets none that is read only.
void gst_clip_tag_set_property(GObject* object, guint id, const GValue* value, GParamSpec* spec) {
  cliptag::Guard(object, spec, [&](cliptag::ClipTag& tag) {
    cliptag::kProperties[id - 1].access.set(tag, value, spec->name);
  });
}

void gst_clip_tag_get_property(GObject* object, guint id, GValue* value, GParamSpec* spec) {
  cliptag::Guard(object, spec, [&](const cliptag::ClipTag& tag) {
    cliptag::kProperties[id - 1].access.get(tag, value);
  });
}
