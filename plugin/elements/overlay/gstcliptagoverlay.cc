/**
 * SECTION:element-cliptagoverlay
 * @title: cliptagoverlay
 * @short_description: draws the tags of cliptag
 *
 * Draws the tags in the `GstCliptagMeta` of a frame: a panel with a line for each, its label, a bar
 * in a colour of its own, and its score. Active tags stand out. Frames between those that cliptag
 * looked at show the last tags for a while (#GstClipTagOverlay:hold), so that nothing flickers.
 * Tiles and objects get boxes with captions, beside the panel, and #GstClipTagOverlay:title heads
 * it.
 *
 * Where the next element or the sink says that it draws overlays itself, they are handed on as
 * GstVideoOverlayComposition; otherwise they are blended into the frame.
 *
 * ## Example launch line
 * |[
 * gst-launch-1.0 videotestsrc pattern=ball num-buffers=300 \
 *   ! cliptag prompts="a ball; a car; a dog" ! cliptagoverlay ! videoconvert ! autovideosink
 * ]|
 *
 * Since: 0.1
 */
#include "plugin/elements/overlay/gstcliptagoverlay.h"

#include <gst/video/video.h>

#include <atomic>
#include <exception>
#include <mutex>
#include <string>

#include "plugin/elements/overlay/panel.h"

GST_DEBUG_CATEGORY_STATIC(gst_clip_tag_overlay_debug);
#define GST_CAT_DEFAULT gst_clip_tag_overlay_debug

namespace {

using cliptag::OverlayPanel;
using cliptag::OverlayPosition;
using cliptag::OverlayProperties;

enum {
  PROP_0,
  PROP_POSITION,
  PROP_SCALE,
  PROP_FONT,
  PROP_MAX_TAGS,
  PROP_HOLD,
  PROP_SHOW_INACTIVE,
  PROP_TITLE,
};

GType PositionType() {
  static const GEnumValue values[] = {
      {static_cast<int>(OverlayPosition::kTopLeft), "Top left", "top-left"},
      {static_cast<int>(OverlayPosition::kTopRight), "Top right", "top-right"},
      {static_cast<int>(OverlayPosition::kBottomLeft), "Bottom left", "bottom-left"},
      {static_cast<int>(OverlayPosition::kBottomRight), "Bottom right", "bottom-right"},
      {0, nullptr, nullptr}};
  static const GType type = g_enum_register_static("GstClipTagOverlayPosition", values);
  return type;
}

}  // namespace

struct OverlayImpl {
  std::mutex mutex;
  OverlayProperties properties;  // guarded by mutex
  // Of whoever holds the sink pad's stream lock. That one is GLib's: this says the same to those
  // who (ThreadSanitizer) cannot see it, and is only taken under it.
  std::mutex stream_mutex;
  OverlayPanel panel;  // this and the next two: guarded by stream_mutex
  GstVideoInfo info{};
  bool attach = false;  // downstream draws
  std::atomic<bool> ask_downstream{true};
};

struct _GstClipTagOverlay {
  GstBaseTransform parent;
  // Owned; set once, before any thread but the maker's can have it: whoever reads it sees it whole.
  std::atomic<OverlayImpl*> impl;
};

G_DEFINE_FINAL_TYPE(GstClipTagOverlay, gst_clip_tag_overlay, GST_TYPE_BASE_TRANSFORM)

static OverlayImpl& ImplOf(gpointer self) {
  return *GST_CLIP_TAG_OVERLAY(self)->impl.load(std::memory_order_acquire);
}

static void gst_clip_tag_overlay_set_property(GObject* object, guint id, const GValue* value,
                                              GParamSpec* spec) {
  OverlayImpl& impl = ImplOf(object);
  const std::lock_guard lock(impl.mutex);
  switch (id) {
    case PROP_POSITION:
      impl.properties.style.position = static_cast<OverlayPosition>(g_value_get_enum(value));
      break;
    case PROP_SCALE:
      impl.properties.style.scale = g_value_get_double(value);
      break;
    case PROP_FONT: {
      const gchar* font = g_value_get_string(value);
      impl.properties.style.font = font != nullptr ? font : "Sans";
      break;
    }
    case PROP_MAX_TAGS:
      impl.properties.max_tags = g_value_get_uint(value);
      break;
    case PROP_HOLD:
      impl.properties.hold_ns = g_value_get_uint64(value);
      break;
    case PROP_SHOW_INACTIVE:
      impl.properties.show_inactive = g_value_get_boolean(value);
      break;
    case PROP_TITLE:
      impl.properties.title = g_value_get_string(value) != nullptr ? g_value_get_string(value) : "";
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, spec);
  }
}

static void gst_clip_tag_overlay_get_property(GObject* object, guint id, GValue* value,
                                              GParamSpec* spec) {
  OverlayImpl& impl = ImplOf(object);
  const std::lock_guard lock(impl.mutex);
  switch (id) {
    case PROP_POSITION:
      g_value_set_enum(value, static_cast<gint>(impl.properties.style.position));
      break;
    case PROP_SCALE:
      g_value_set_double(value, impl.properties.style.scale);
      break;
    case PROP_FONT:
      g_value_set_string(value, impl.properties.style.font.c_str());
      break;
    case PROP_MAX_TAGS:
      g_value_set_uint(value, impl.properties.max_tags);
      break;
    case PROP_HOLD:
      g_value_set_uint64(value, impl.properties.hold_ns);
      break;
    case PROP_SHOW_INACTIVE:
      g_value_set_boolean(value, impl.properties.show_inactive);
      break;
    case PROP_TITLE:
      g_value_set_string(value, impl.properties.title.c_str());
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, spec);
  }
}

static gboolean gst_clip_tag_overlay_set_caps(GstBaseTransform* base, GstCaps* caps, GstCaps*) {
  OverlayImpl& impl = ImplOf(base);
  const std::lock_guard lock(impl.stream_mutex);
  impl.ask_downstream = true;
  const gint width = impl.info.width, height = impl.info.height;
  if (!gst_video_info_from_caps(&impl.info, caps)) return FALSE;
  if (width != impl.info.width || height != impl.info.height) impl.panel.ForgetPlaces();
  return TRUE;
}

static void Forget(gpointer self) {
  OverlayImpl& impl = ImplOf(self);
  const std::lock_guard lock(impl.stream_mutex);
  impl.panel.Forget();
}

// Whether the pixels of whoever draws are those of this pad. What scales, crops or turns a frame on
// the way there takes caps with the feature of overlays in no other size than it puts out, or not
// at all; and before GStreamer 1.26 it leaves the overlays' rectangles where they were.
static bool DrawnUnchanged(GstPad* pad, GstCaps* caps) {
  GstCaps* drawn = gst_caps_copy(caps);
  for (guint i = 0; i < gst_caps_get_size(drawn); ++i) {
    GstCapsFeatures* features = gst_caps_get_features(drawn, i);
    if (!gst_caps_features_contains(features, GST_CAPS_FEATURE_META_GST_VIDEO_OVERLAY_COMPOSITION))
      gst_caps_features_add(features, GST_CAPS_FEATURE_META_GST_VIDEO_OVERLAY_COMPOSITION);
  }
  GstCaps* taken = gst_pad_peer_query_caps(pad, drawn);
  const bool unchanged = gst_caps_can_intersect(taken, drawn);
  gst_caps_unref(taken);
  gst_caps_unref(drawn);
  return unchanged;
}

// An in-place transform sends no allocation query of its own, so this asks, once the caps are
// through.
static void AskDownstream(GstClipTagOverlay* self) {
  OverlayImpl& impl = ImplOf(self);
  if (!impl.ask_downstream.exchange(false)) return;
  impl.attach = false;
  GstPad* pad = GST_BASE_TRANSFORM_SRC_PAD(self);
  GstCaps* caps = gst_pad_get_current_caps(pad);
  if (caps == nullptr) return;
  GstQuery* query = gst_query_new_allocation(caps, FALSE);
  if (gst_pad_peer_query(pad, query)) {
    impl.attach = gst_query_find_allocation_meta(query, GST_VIDEO_OVERLAY_COMPOSITION_META_API_TYPE,
                                                 nullptr) &&
                  DrawnUnchanged(pad, caps);
  }
  gst_query_unref(query);
  gst_caps_unref(caps);
}

static gboolean gst_clip_tag_overlay_src_event(GstBaseTransform* base, GstEvent* event) {
  if (GST_EVENT_TYPE(event) == GST_EVENT_RECONFIGURE) {
    ImplOf(base).ask_downstream = true;
  }
  return GST_BASE_TRANSFORM_CLASS(gst_clip_tag_overlay_parent_class)->src_event(base, event);
}

static gboolean gst_clip_tag_overlay_sink_event(GstBaseTransform* base, GstEvent* event) {
  // What was seen before a jump says nothing about what comes after it.
  if (GST_EVENT_TYPE(event) == GST_EVENT_FLUSH_STOP ||
      GST_EVENT_TYPE(event) == GST_EVENT_STREAM_START) {
    Forget(base);
  }
  return GST_BASE_TRANSFORM_CLASS(gst_clip_tag_overlay_parent_class)->sink_event(base, event);
}

static gboolean gst_clip_tag_overlay_stop(GstBaseTransform* base) {
  Forget(base);
  return TRUE;
}

// Adds ours to what others want drawn on this frame.
static void AttachComposition(GstBuffer* buffer, GstVideoOverlayComposition* composition) {
  GstVideoOverlayCompositionMeta* meta = gst_buffer_get_video_overlay_composition_meta(buffer);
  if (meta == nullptr) {
    gst_buffer_add_video_overlay_composition_meta(buffer, composition);
    return;
  }
  GstVideoOverlayComposition* both = gst_video_overlay_composition_copy(meta->overlay);
  for (guint i = 0; i < gst_video_overlay_composition_n_rectangles(composition); ++i) {
    gst_video_overlay_composition_add_rectangle(
        both, gst_video_overlay_composition_get_rectangle(composition, i));
  }
  gst_video_overlay_composition_unref(meta->overlay);
  meta->overlay = both;
}

static GstFlowReturn Draw(GstClipTagOverlay* self, GstBuffer* buffer) {
  OverlayImpl& impl = ImplOf(self);
  const std::lock_guard stream_lock(impl.stream_mutex);
  OverlayProperties properties;
  {
    const std::lock_guard lock(impl.mutex);
    properties = impl.properties;
  }
  impl.panel.Look(buffer, properties.hold_ns);
  const cliptag::PixelAspect pixel =
      cliptag::MakePixelAspect(GST_VIDEO_INFO_PAR_N(&impl.info), GST_VIDEO_INFO_PAR_D(&impl.info));
  GstVideoOverlayComposition* composition =
      impl.panel.Draw(properties, {impl.info.width, impl.info.height, pixel});
  if (composition == nullptr) return GST_FLOW_OK;
  AskDownstream(self);
  if (impl.attach) {
    AttachComposition(buffer, composition);
    return GST_FLOW_OK;
  }
  GstVideoFrame frame;
  if (!gst_video_frame_map(&frame, &impl.info, buffer, GST_MAP_READWRITE)) {
    GST_WARNING_OBJECT(self, "a frame cannot be mapped and passes without its tags drawn");
    return GST_FLOW_OK;
  }
  if (!gst_video_overlay_composition_blend(composition, &frame)) {
    GST_WARNING_OBJECT(self, "the tags cannot be blended into this frame");
  }
  gst_video_frame_unmap(&frame);
  return GST_FLOW_OK;
}

// Properties that are controlled (GstController) take the values of this frame's time.
static void gst_clip_tag_overlay_before_transform(GstBaseTransform* base, GstBuffer* buffer) {
  if (base->segment.format != GST_FORMAT_TIME) return;
  const GstClockTime time =
      gst_segment_to_stream_time(&base->segment, GST_FORMAT_TIME, GST_BUFFER_PTS(buffer));
  if (GST_CLOCK_TIME_IS_VALID(time)) gst_object_sync_values(GST_OBJECT(base), time);
}

static GstFlowReturn gst_clip_tag_overlay_transform_ip(GstBaseTransform* base, GstBuffer* buffer) {
  try {
    return Draw(GST_CLIP_TAG_OVERLAY(base), buffer);
  } catch (const std::exception& e) {
    GST_ELEMENT_ERROR(base, CORE, FAILED,
                      ("cliptagoverlay ran into something that it cannot handle: %s", e.what()),
                      (nullptr));
    return GST_FLOW_ERROR;
  }
}

static void gst_clip_tag_overlay_finalize(GObject* object) {
  delete &ImplOf(object);
  G_OBJECT_CLASS(gst_clip_tag_overlay_parent_class)->finalize(object);
}

static void gst_clip_tag_overlay_install_properties(GObjectClass* klass) {
  // Those that a GstController can bind: enums, booleans and numbers.
  constexpr auto kFlags =
      static_cast<GParamFlags>(G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS |
                               GST_PARAM_MUTABLE_PLAYING | GST_PARAM_CONTROLLABLE);
  constexpr auto kTextFlags = static_cast<GParamFlags>(G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS |
                                                       GST_PARAM_MUTABLE_PLAYING);
  g_object_class_install_property(
      klass, PROP_POSITION,
      g_param_spec_enum("position", "Position", "The corner that the panel lies in", PositionType(),
                        static_cast<gint>(OverlayPosition::kTopLeft), kFlags));
  g_object_class_install_property(
      klass, PROP_SCALE,
      g_param_spec_double("scale", "Scale",
                          "Size of the panel, times what suits the size of the frame", 0.25, 8, 1,
                          kFlags));
  g_object_class_install_property(
      klass, PROP_FONT,
      g_param_spec_string("font", "Font", "Pango name of the font, without a size", "Sans",
                          kTextFlags));
  g_object_class_install_property(
      klass, PROP_MAX_TAGS,
      g_param_spec_uint("max-tags", "Maximum tags", "Lines that are drawn at most (0 = all)", 0,
                        G_MAXUINT, 8, kFlags));
  g_object_class_install_property(
      klass, PROP_HOLD,
      g_param_spec_uint64(
          "hold", "Hold",
          "How long the last tags stay on frames that have none of their own, in ns", 0,
          G_MAXUINT64, 2 * GST_SECOND, kFlags));
  g_object_class_install_property(
      klass, PROP_SHOW_INACTIVE,
      g_param_spec_boolean("show-inactive", "Show inactive", "Draw tags below their threshold, too",
                           TRUE, kFlags));
  g_object_class_install_property(
      klass, PROP_TITLE,
      g_param_spec_string("title", "Title", "What the panel is headed with: the camera's name",
                          nullptr, kTextFlags));
  gst_type_mark_as_plugin_api(PositionType(), static_cast<GstPluginAPIFlags>(0));
}

static void gst_clip_tag_overlay_class_init(GstClipTagOverlayClass* klass) {
  GST_DEBUG_CATEGORY_INIT(gst_clip_tag_overlay_debug, "cliptagoverlay", 0, "CLIP tag overlay");
  auto* object_class = G_OBJECT_CLASS(klass);
  auto* element_class = GST_ELEMENT_CLASS(klass);
  auto* transform_class = GST_BASE_TRANSFORM_CLASS(klass);
  object_class->set_property = gst_clip_tag_overlay_set_property;
  object_class->get_property = gst_clip_tag_overlay_get_property;
  object_class->finalize = gst_clip_tag_overlay_finalize;
  gst_clip_tag_overlay_install_properties(object_class);
  transform_class->set_caps = gst_clip_tag_overlay_set_caps;
  transform_class->src_event = gst_clip_tag_overlay_src_event;
  transform_class->sink_event = gst_clip_tag_overlay_sink_event;
  transform_class->stop = gst_clip_tag_overlay_stop;
  transform_class->before_transform = gst_clip_tag_overlay_before_transform;
  transform_class->transform_ip = gst_clip_tag_overlay_transform_ip;
  gst_element_class_set_static_metadata(element_class, "CLIP tag overlay", "Filter/Editor/Video",
                                        "Draws the tags of cliptag: label, score bar and number",
                                        "the cliptag authors");
  // Without a framerate: what appsrc and others send need not name one, and nothing here asks for
  // it.
  static constexpr char kSizes[] = ", format = (string) " GST_VIDEO_FORMATS_ALL
                                   ", width = (int) [ 1, max ], height = (int) [ 1, max ]";
  const std::string raw = "video/x-raw";
  const std::string drawn = raw + "(" GST_CAPS_FEATURE_META_GST_VIDEO_OVERLAY_COMPOSITION ")";
  GstCaps* caps = gst_caps_from_string((raw + kSizes + "; " + drawn + kSizes).c_str());
  gst_element_class_add_pad_template(
      element_class, gst_pad_template_new("sink", GST_PAD_SINK, GST_PAD_ALWAYS, caps));
  gst_element_class_add_pad_template(
      element_class, gst_pad_template_new("src", GST_PAD_SRC, GST_PAD_ALWAYS, caps));
  gst_caps_unref(caps);
}

static void gst_clip_tag_overlay_init(GstClipTagOverlay* self) {
  self->impl = new OverlayImpl;
  gst_base_transform_set_in_place(GST_BASE_TRANSFORM(self), TRUE);
}
