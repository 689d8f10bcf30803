/**
 * SECTION:element-cliptagoverlay
 * @title: cliptagoverlay
 * @short_description: draws the tags of cliptag
 *
 * Draws the tags in the `GstCliptagMeta` of a frame: a panel with a line for each, its label, a bar
 * in a colour of its own, and its score. Active tags stand out. Frames without tags of their own
 * show the last tags for a while (#GstClipTagOverlay:hold), so that nothing flickers. Tiles and
 * objects get boxes with captions, and #GstClipTagOverlay:title is the heading of the panel.
 *
 * If downstream draws overlays itself, it gets them as GstVideoOverlayComposition; otherwise they
 * are blended into the frame.
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
#include "plugin/gst/property_table.h"

GST_DEBUG_CATEGORY_STATIC(gst_clip_tag_overlay_debug);
#define GST_CAT_DEFAULT gst_clip_tag_overlay_debug

namespace {

using cliptag::OverlayPanel;
using cliptag::OverlayPosition;
using cliptag::OverlayProperties;
using cliptag::OverlayStyle;

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

// Those that a GstController can bind: enums, booleans and numbers.
constexpr auto kControllable =
    static_cast<GParamFlags>(G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS |
                             GST_PARAM_MUTABLE_PLAYING | GST_PARAM_CONTROLLABLE);
constexpr auto kText = static_cast<GParamFlags>(G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS |
                                                GST_PARAM_MUTABLE_PLAYING);

// By the members that lead to a property.
template <auto... kPath>
constexpr cliptag::Property<OverlayProperties>::Access kMember = {
    [](OverlayProperties& properties, const GValue* value, const char*) {
      cliptag::Take(value, &(properties.*....*kPath));
    },
    [](const OverlayProperties& properties, GValue* value) {
      cliptag::Give((properties.*....*kPath), value);
    }};

constexpr cliptag::Property<OverlayProperties> kProperties[] = {
    {"position", "The corner of the frame that the panel is in",
     [](auto... text) {
       return g_param_spec_enum(text..., PositionType(),
                                static_cast<gint>(OverlayPosition::kTopLeft), kControllable);
     },
     kMember<&OverlayProperties::style, &OverlayStyle::position>},
    {"scale", "Size of the panel, relative to its default for the size of the frame",
     [](auto... text) { return g_param_spec_double(text..., 0.25, 8, 1, kControllable); },
     kMember<&OverlayProperties::style, &OverlayStyle::scale>},
    {"font",
     "Pango name of the font, without a size",
     [](auto... text) { return g_param_spec_string(text..., "Sans", kText); },
     {[](OverlayProperties& properties, const GValue* value, const char*) {
        const gchar* font = g_value_get_string(value);
        properties.style.font = font != nullptr ? font : "Sans";
      },
      kMember<&OverlayProperties::style, &OverlayStyle::font>.get}},
    {"max-tags", "Most tags that are drawn (0 = all)",
     [](auto... text) { return g_param_spec_uint(text..., 0, G_MAXUINT, 8, kControllable); },
     kMember<&OverlayProperties::max_tags>},
    {"hold", "How long the last tags stay on frames that have none of their own, in ns",
     [](auto... text) {
       return g_param_spec_uint64(text..., 0, G_MAXUINT64, 2 * GST_SECOND, kControllable);
     },
     kMember<&OverlayProperties::hold_ns>},
    {"show-inactive", "Draw tags below their threshold, too",
     [](auto... text) { return g_param_spec_boolean(text..., TRUE, kControllable); },
     kMember<&OverlayProperties::show_inactive>},
    {"title", "Heading of the panel, such as the camera's name",
     [](auto... text) { return g_param_spec_string(text..., nullptr, kText); },
     kMember<&OverlayProperties::title>},
};

}  // namespace

struct OverlayImpl {
  std::mutex mutex;
  OverlayProperties properties;  // guarded by mutex
  // Only taken under the sink pad's stream lock, for ThreadSanitizer, which does not see GLib's
  // locks.
  std::mutex stream_mutex;
  OverlayPanel panel;  // this and the next two: guarded by stream_mutex
  GstVideoInfo info{};
  bool attach = false;  // downstream draws overlays itself
  std::atomic<bool> ask_downstream{true};
};

struct _GstClipTagOverlay {
  GstBaseTransform parent;
  // Owned; set once, before any other thread can reach the element.
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
  kProperties[id - 1].access.set(impl.properties, value, spec->name);
}

static void gst_clip_tag_overlay_get_property(GObject* object, guint id, GValue* value,
                                              GParamSpec*) {
  OverlayImpl& impl = ImplOf(object);
  const std::lock_guard lock(impl.mutex);
  kProperties[id - 1].access.get(impl.properties, value);
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

// Whether the element that draws overlays gets this pad's pixels unchanged. An element in between
// that scales, crops or rotates accepts caps with the overlay feature only in its output size, or
// not at all; and before GStreamer 1.26 it does not move the overlays' rectangles.
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

// An in-place transform sends no allocation query of its own; this does, after the caps.
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
  // Tags from before a seek do not hold after it.
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

// Adds to the overlays that other elements have attached.
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
  impl.panel.Update(buffer, properties.hold_ns);
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

// Controlled properties (GstController) take their values at this frame's time.
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
    GST_ELEMENT_ERROR(base, CORE, FAILED, ("cliptagoverlay: an unexpected error: %s", e.what()),
                      (nullptr));
    return GST_FLOW_ERROR;
  }
}

static void gst_clip_tag_overlay_finalize(GObject* object) {
  delete &ImplOf(object);
  G_OBJECT_CLASS(gst_clip_tag_overlay_parent_class)->finalize(object);
}

static void gst_clip_tag_overlay_class_init(GstClipTagOverlayClass* klass) {
  GST_DEBUG_CATEGORY_INIT(gst_clip_tag_overlay_debug, "cliptagoverlay", 0, "CLIP tag overlay");
  auto* object_class = G_OBJECT_CLASS(klass);
  auto* element_class = GST_ELEMENT_CLASS(klass);
  auto* transform_class = GST_BASE_TRANSFORM_CLASS(klass);
  object_class->set_property = gst_clip_tag_overlay_set_property;
  object_class->get_property = gst_clip_tag_overlay_get_property;
  object_class->finalize = gst_clip_tag_overlay_finalize;
  cliptag::InstallProperties(object_class, kProperties);
  gst_type_mark_as_plugin_api(PositionType(), static_cast<GstPluginAPIFlags>(0));
  transform_class->set_caps = gst_clip_tag_overlay_set_caps;
  transform_class->src_event = gst_clip_tag_overlay_src_event;
  transform_class->sink_event = gst_clip_tag_overlay_sink_event;
  transform_class->stop = gst_clip_tag_overlay_stop;
  transform_class->before_transform = gst_clip_tag_overlay_before_transform;
  transform_class->transform_ip = gst_clip_tag_overlay_transform_ip;
  gst_element_class_set_static_metadata(element_class, "CLIP tag overlay", "Filter/Editor/Video",
                                        "Draws the tags of cliptag: label, score bar and number",
                                        "the cliptag authors");
  // Without a framerate, which appsrc and others do not set.
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
