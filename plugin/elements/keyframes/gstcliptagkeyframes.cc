/**
 * SECTION:element-cliptagkeyframes
 * @title: cliptagkeyframes
 * @short_description: passes only keyframes on to the decoder
 *
 * Most of the cost of tagging a camera is decoding frames without inference. This element goes
 * before the decoder, after an element that outputs whole pictures (a parser, most demuxers), and
 * passes the keyframes of H.264, H.265, VP8, VP9 or AV1, at most #GstClipTagKeyframes:max-rate of
 * them a second: a stream that is tagged once a second is then decoded once a second.
 *
 * Keyframes are found in the bitstream, not by the buffers' flags: IDR pictures and, in H.264, I
 * pictures with a recovery point SEI; all IRAP pictures of H.265; key frames of VP8, VP9 and AV1.
 * The flags count only if the stream is encrypted.
 *
 * A keyframe keeps its timestamps. A raw elementary stream has only DTS, which then is the PTS, too
 * (in an open GOP too early by the leading pictures): decoders would otherwise count keyframes as
 * if they were all pictures. A keyframe after dropped pictures is marked as a discontinuity, and
 * GAP events cover the dropped ones, so that decoders output it at once instead of with the next
 * one, and muxers and mosaics go on. Parameter sets of dropped pictures are inserted into the next
 * keyframe.
 *
 * It cannot make keyframes: a stream with one in ten seconds gives one in ten seconds. Cameras and
 * encoders call this GOP or I-frame interval, or key-int-max. A stream with gradual intra refresh
 * and no keyframes gives none, and of pictures that are coded as two fields only the first passes.
 * If none passes for long, a warning gives the reason: an open GOP of H.264 without recovery points
 * has I pictures, but nothing says that decoding may begin with them.
 *
 * ## Example launch lines
 * |[
 * gst-launch-1.0 -m videotestsrc num-buffers=250 pattern=ball ! video/x-raw,framerate=25/1 \
 *   ! x264enc key-int-max=25 ! h264parse ! cliptagkeyframes max-rate=1/1 ! decodebin \
 *   ! videoconvert ! cliptag prompts="a ball; a car; a dog" ! fakesink
 * ]| Decodes and tags 10 of 250 frames.
 * |[
 * gst-launch-1.0 -m rtspsrc location=rtsp://camera.local/stream ! rtph264depay ! h264parse \
 *   ! cliptagkeyframes max-rate=1/1 ! decodebin ! videoconvert \
 *   ! cliptag mode=exact prompts="a car; a person" ! fakesink
 * ]| A camera with one inference a second. In the mode `live`, the default of live pipelines, a
 * frame does not wait for its tags; they would come with the next one, here a second later.
 *
 * Since: 0.1
 */
#include "plugin/elements/keyframes/gstcliptagkeyframes.h"

#include <atomic>
#include <exception>

#include "plugin/elements/keyframes/stream.h"
#include "plugin/gst/property_table.h"

GST_DEBUG_CATEGORY(gst_clip_tag_keyframes_debug);
#define GST_CAT_DEFAULT gst_clip_tag_keyframes_debug

struct _GstClipTagKeyframes {
  GstElement parent;
  // Owned; set once, before any other thread can reach the element.
  std::atomic<cliptag::KeyframeStream*> impl;
};

// Not a GstBaseTransform, which handles one buffer in and one out: this element mostly handles the
// events and parameter sets in between.
G_DEFINE_FINAL_TYPE(GstClipTagKeyframes, gst_clip_tag_keyframes, GST_TYPE_ELEMENT)

namespace {

using cliptag::KeyframeStream;

// Whole pictures only: one slice says nothing about the others of its picture.
constexpr char kCaps[] =
    "video/x-h264, stream-format = (string) { avc, avc3, byte-stream }, alignment = (string) au; "
    "video/x-h265, stream-format = (string) { hvc1, hev1, byte-stream }, alignment = (string) au; "
    "video/x-vp8; video/x-vp9; "
    "video/x-av1, stream-format = (string) obu-stream, alignment = (string) { tu, frame }";

KeyframeStream& ImplOf(gpointer self) {
  return *GST_CLIP_TAG_KEYFRAMES(self)->impl.load(std::memory_order_acquire);
}

// No exception leaves a vfunc: it becomes an element error and `fallback`.
template <typename T, typename F>
T Guard(gpointer self, T fallback, F&& body) {
  try {
    return body(ImplOf(self));
  } catch (const std::exception& e) {
    GST_ELEMENT_ERROR(GST_ELEMENT(self), CORE, FAILED,
                      ("cliptagkeyframes: an unexpected error: %s", e.what()), (nullptr));
    return fallback;
  }
}

GstFlowReturn gst_clip_tag_keyframes_chain(GstPad*, GstObject* parent, GstBuffer* buffer) {
  return Guard(parent, GST_FLOW_ERROR, [&](KeyframeStream& s) { return s.Chain(buffer); });
}

gboolean gst_clip_tag_keyframes_sink_event(GstPad*, GstObject* parent, GstEvent* event) {
  return Guard(parent, false, [&](KeyframeStream& s) { return s.SinkEvent(event); });
}

// Only this probe sees the caps that the pad refuses. Those that only downstream refuses are not
// explained.
GstPadProbeReturn ExplainRefusal(GstPad* pad, GstPadProbeInfo* info, gpointer self) {
  GstEvent* event = gst_pad_probe_info_get_event(info);
  if (GST_EVENT_TYPE(event) != GST_EVENT_CAPS) return GST_PAD_PROBE_OK;
  GstCaps* caps = nullptr;
  gst_event_parse_caps(event, &caps);
  GstCaps* taken = gst_pad_get_pad_template_caps(pad);
  const bool refused = !gst_caps_is_subset(caps, taken);
  gst_caps_unref(taken);
  if (!refused) return GST_PAD_PROBE_OK;
  return Guard(self, GST_PAD_PROBE_OK, [&](KeyframeStream& s) {
    s.Refuse(caps);
    return GST_PAD_PROBE_OK;
  });
}

GstStateChangeReturn gst_clip_tag_keyframes_change_state(GstElement* element,
                                                         GstStateChange transition) {
  if (transition == GST_STATE_CHANGE_READY_TO_PAUSED) ImplOf(element).Reset();
  return GST_ELEMENT_CLASS(gst_clip_tag_keyframes_parent_class)->change_state(element, transition);
}

constexpr auto kPlaying = static_cast<GParamFlags>(G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS |
                                                   GST_PARAM_MUTABLE_PLAYING);
constexpr auto kReadOnly = static_cast<GParamFlags>(G_PARAM_READABLE | G_PARAM_STATIC_STRINGS);

constexpr cliptag::Property<KeyframeStream> kProperties[] = {
    {"max-rate",
     "Let at most so many keyframes a second through (0/1 = no limit)",
     [](auto... text) {
       return gst_param_spec_fraction(text..., 0, 1, G_MAXINT, 1, 0, 1, kPlaying);
     },
     {[](KeyframeStream& stream, const GValue* value, const char*) {
        stream.SetMaxRate(
            {gst_value_get_fraction_numerator(value), gst_value_get_fraction_denominator(value)});
      },
      [](const KeyframeStream& stream, GValue* value) {
        const cliptag::Rate rate = stream.max_rate();
        gst_value_set_fraction(value, rate.n, rate.d);
      }}},
    {"stats",
     "frames-in, keyframes among them, passed and dropped, since the start",
     [](auto... text) { return g_param_spec_boxed(text..., GST_TYPE_STRUCTURE, kReadOnly); },
     {nullptr, [](const KeyframeStream& stream,
                  GValue* value) { g_value_take_boxed(value, stream.Stats()); }}},
};

void gst_clip_tag_keyframes_set_property(GObject* object, guint id, const GValue* value,
                                         GParamSpec* spec) {
  kProperties[id - 1].access.set(ImplOf(object), value, spec->name);
}

void gst_clip_tag_keyframes_get_property(GObject* object, guint id, GValue* value, GParamSpec*) {
  kProperties[id - 1].access.get(ImplOf(object), value);
}

void gst_clip_tag_keyframes_finalize(GObject* object) {
  delete &ImplOf(object);
  G_OBJECT_CLASS(gst_clip_tag_keyframes_parent_class)->finalize(object);
}

}  // namespace

static void gst_clip_tag_keyframes_class_init(GstClipTagKeyframesClass* klass) {
  GST_DEBUG_CATEGORY_INIT(gst_clip_tag_keyframes_debug, "cliptagkeyframes", 0,
                          "keyframes for the CLIP tagger");
  auto* object_class = G_OBJECT_CLASS(klass);
  auto* element_class = GST_ELEMENT_CLASS(klass);
  object_class->set_property = gst_clip_tag_keyframes_set_property;
  object_class->get_property = gst_clip_tag_keyframes_get_property;
  object_class->finalize = gst_clip_tag_keyframes_finalize;
  element_class->change_state = gst_clip_tag_keyframes_change_state;
  cliptag::InstallProperties(object_class, kProperties);
  // No "Codec" or "Parser" in the klass: autopluggers must not take it for one.
  gst_element_class_set_static_metadata(
      element_class, "Keyframe filter", "Filter/Video",
      "Passes only keyframes on to the decoder, at most so many a second", "the cliptag authors");
  GstCaps* caps = gst_caps_from_string(kCaps);
  gst_element_class_add_pad_template(
      element_class, gst_pad_template_new("sink", GST_PAD_SINK, GST_PAD_ALWAYS, caps));
  gst_element_class_add_pad_template(
      element_class, gst_pad_template_new("src", GST_PAD_SRC, GST_PAD_ALWAYS, caps));
  gst_caps_unref(caps);
}

static void gst_clip_tag_keyframes_init(GstClipTagKeyframes* self) {
  auto* klass = GST_ELEMENT_GET_CLASS(self);
  GstPad* sink =
      gst_pad_new_from_template(gst_element_class_get_pad_template(klass, "sink"), "sink");
  gst_pad_set_chain_function(sink, gst_clip_tag_keyframes_chain);
  gst_pad_set_event_function(sink, gst_clip_tag_keyframes_sink_event);
  gst_pad_add_probe(sink, GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM, ExplainRefusal, self, nullptr);
  GST_PAD_SET_PROXY_CAPS(sink);
  GST_PAD_SET_PROXY_ALLOCATION(sink);
  GstPad* src = gst_pad_new_from_template(gst_element_class_get_pad_template(klass, "src"), "src");
  GST_PAD_SET_PROXY_CAPS(src);
  // Before the pads are added: from then on other threads may call.
  self->impl = new KeyframeStream(GST_ELEMENT(self), src);
  gst_element_add_pad(GST_ELEMENT(self), sink);
  gst_element_add_pad(GST_ELEMENT(self), src);
}
