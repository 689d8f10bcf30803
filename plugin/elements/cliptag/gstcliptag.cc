/**
 * SECTION:element-cliptag
 * @title: cliptag
 * @short_description: tags video with CLIP, zero-shot: any words can be labels
 *
 * Frames pass through unchanged and leave with tags: as a bus message `cliptag` for every
 * inference, as a custom meta `GstCliptagMeta` on the buffer (see gstcliptagmeta.h), as
 * GstAnalytics classification from GStreamer 1.24 on, and as a message `cliptag-event` whenever a
 * tag becomes active or inactive.
 *
 * The built-in model knows emoji, clip art and small centred photos; for streets and rooms, name a
 * larger CLIP model with the property `model`.
 *
 * ## Example launch lines
 * |[
 * gst-launch-1.0 -m videotestsrc num-buffers=30 pattern=ball \
 *   ! cliptag prompts="a ball; a car; a dog" ! fakesink
 * ]| Prints the tags of every frame.
 * |[
 * gst-launch-1.0 filesrc location=video.mp4 ! decodebin ! videoconvert \
 *   ! cliptag prompts="car; bicycle; dog" max-rate=4/1 ! cliptagoverlay \
 *   ! videoconvert ! autovideosink
 * ]| Runs inference on four frames a second and draws the tags.
 *
 * Frames are read in place: in system memory, and with backend=cuda also in CUDA memory, where
 * nvh264dec puts them. Behind another decoder that leaves frames on a GPU, add an element that
 * downloads them: `vapostproc ! video/x-raw` (VA and DMABuf), `gldownload` (OpenGL), `cudadownload`
 * (CUDA, with backend=cpu).
 *
 * Since: 0.1
 */
#include "plugin/elements/cliptag/gstcliptag.h"

#include <gst/video/video.h>

#include <string>

#include "kernels/base/caught.h"
#include "plugin/elements/cliptag/clip_tag.h"
#include "plugin/elements/cliptag/properties.h"
#include "plugin/gst/frame_view.h"
#include "plugin/gst/glib_order.h"

GST_DEBUG_CATEGORY(gst_clip_tag_debug);

G_DEFINE_FINAL_TYPE(GstClipTag, gst_clip_tag, GST_TYPE_ELEMENT)

namespace {

using cliptag::ClipTag;

// No exception leaves a vfunc: it becomes an element error and `fallback`.
template <typename T, typename F>
T Guard(gpointer self, T fallback, F&& body) {
  try {
    cliptag::GlibAcquire(self);
    return body(*GST_CLIP_TAG(self)->impl);
  } catch (...) {
    GST_ELEMENT_ERROR(GST_ELEMENT(self), CORE, FAILED,
                      ("%s", cliptag::CaughtException().message().c_str()), (nullptr));
    return fallback;
  }
}

GstFlowReturn gst_clip_tag_chain(GstPad*, GstObject* parent, GstBuffer* buffer) {
  return Guard(parent, GST_FLOW_ERROR, [&](ClipTag& tag) { return tag.Chain(buffer); });
}

gboolean gst_clip_tag_sink_event(GstPad*, GstObject* parent, GstEvent* event) {
  return Guard(parent, false, [&](ClipTag& tag) { return tag.SinkEvent(event); });
}

gboolean gst_clip_tag_src_event(GstPad*, GstObject* parent, GstEvent* event) {
  return Guard(parent, false, [&](ClipTag& tag) { return tag.SrcEvent(event); });
}

gboolean gst_clip_tag_sink_query(GstPad*, GstObject* parent, GstQuery* query) {
  return Guard(parent, false, [&](ClipTag& tag) { return tag.SinkQuery(query); });
}

gboolean gst_clip_tag_src_query(GstPad*, GstObject* parent, GstQuery* query) {
  return Guard(parent, false, [&](ClipTag& tag) { return tag.SrcQuery(query); });
}

gboolean gst_clip_tag_sink_activate_mode(GstPad*, GstObject* parent, GstPadMode mode,
                                         gboolean active) {
  if (mode != GST_PAD_MODE_PUSH) return FALSE;
  return Guard(parent, false, [&](ClipTag& tag) { return tag.ActivateSink(active); });
}

gboolean gst_clip_tag_src_activate_mode(GstPad*, GstObject* parent, GstPadMode mode,
                                        gboolean active) {
  if (mode != GST_PAD_MODE_PUSH) return FALSE;
  return Guard(parent, false, [&](ClipTag& tag) { return tag.ActivateSrc(active); });
}

GstStateChangeReturn gst_clip_tag_change_state(GstElement* element, GstStateChange transition) {
  // A failed start is undone, wherever it failed.
  const bool started = transition != GST_STATE_CHANGE_READY_TO_PAUSED ||
                       Guard(element, false, [](ClipTag& tag) { return tag.Start(); });
  const GstStateChangeReturn result =
      started ? GST_ELEMENT_CLASS(gst_clip_tag_parent_class)->change_state(element, transition)
              : GST_STATE_CHANGE_FAILURE;
  const bool failed_to_start =
      transition == GST_STATE_CHANGE_READY_TO_PAUSED && result == GST_STATE_CHANGE_FAILURE;
  if (transition == GST_STATE_CHANGE_PAUSED_TO_READY || failed_to_start) {
    Guard(element, false, [](ClipTag& tag) {
      tag.Stop();
      return true;
    });
  }
  return result;
}

void gst_clip_tag_set_context(GstElement* element, GstContext* context) {
  Guard(element, false, [&](ClipTag& tag) {
    tag.SetContext(context);
    return true;
  });
  GST_ELEMENT_CLASS(gst_clip_tag_parent_class)->set_context(element, context);
}

void gst_clip_tag_finalize(GObject* object) {
  delete GST_CLIP_TAG(object)->impl;
  G_OBJECT_CLASS(gst_clip_tag_parent_class)->finalize(object);
}

void AddTemplate(GstElementClass* klass, const char* name, GstPadDirection direction,
                 GstCaps* caps) {
  gst_element_class_add_pad_template(klass,
                                     gst_pad_template_new(name, direction, GST_PAD_ALWAYS, caps));
}

// Without DMABuf, VA and GL memory and alternate fields. Without a framerate, which appsrc and
// others do not set.
GstCaps* TemplateCaps() {
  const std::string description = "video/x-raw, format = (string) " +
                                  cliptag::SupportedFormatsCaps() +
                                  ", width = (int) [ 1, max ], height = (int) [ 1, max ]";
  GstCaps* caps = gst_caps_from_string(description.c_str());
  if (const char* formats = cliptag::CudaFrames::Formats(); formats != nullptr) {
    GstCaps* known =
        gst_caps_from_string((std::string("video/x-raw, format = (string) ") + formats).c_str());
    GstCaps* cuda = gst_caps_intersect(known, caps);
    gst_caps_set_features_simple(cuda, gst_caps_features_new(cliptag::kCudaMemoryFeature, nullptr));
    gst_caps_append(caps, cuda);
    gst_caps_unref(known);
  }
  return caps;
}

}  // namespace

void gst_clip_tag_loop(gpointer element) {
  Guard(element, false, [](ClipTag& tag) {
    tag.Loop();
    return true;
  });
}

static void gst_clip_tag_class_init(GstClipTagClass* klass) {
  GST_DEBUG_CATEGORY_INIT(gst_clip_tag_debug, "cliptag", 0, "CLIP tagger");
  auto* object_class = G_OBJECT_CLASS(klass);
  auto* element_class = GST_ELEMENT_CLASS(klass);
  object_class->set_property = gst_clip_tag_set_property;
  object_class->get_property = gst_clip_tag_get_property;
  object_class->finalize = gst_clip_tag_finalize;
  gst_clip_tag_install_properties(object_class);
  element_class->change_state = gst_clip_tag_change_state;
  element_class->set_context = gst_clip_tag_set_context;
  gst_element_class_set_static_metadata(
      element_class, "CLIP zero-shot tagger", "Filter/Analyzer/Video",
      "Tags video with words of your own, by CLIP; frames pass through unchanged",
      "the cliptag authors");
  GstCaps* caps = TemplateCaps();
  AddTemplate(element_class, "sink", GST_PAD_SINK, caps);
  AddTemplate(element_class, "src", GST_PAD_SRC, caps);
  gst_caps_unref(caps);
}

static void gst_clip_tag_init(GstClipTag* self) {
  auto* klass = GST_ELEMENT_GET_CLASS(self);
  GstPad* sink =
      gst_pad_new_from_template(gst_element_class_get_pad_template(klass, "sink"), "sink");
  gst_pad_set_chain_function(sink, gst_clip_tag_chain);
  gst_pad_set_event_function(sink, gst_clip_tag_sink_event);
  gst_pad_set_query_function(sink, gst_clip_tag_sink_query);
  gst_pad_set_activatemode_function(sink, gst_clip_tag_sink_activate_mode);
  GST_PAD_SET_PROXY_CAPS(sink);

  GstPad* src = gst_pad_new_from_template(gst_element_class_get_pad_template(klass, "src"), "src");
  gst_pad_set_event_function(src, gst_clip_tag_src_event);
  gst_pad_set_query_function(src, gst_clip_tag_src_query);
  gst_pad_set_activatemode_function(src, gst_clip_tag_src_activate_mode);
  GST_PAD_SET_PROXY_CAPS(src);

  // Before the pads are added: from then on other threads may call.
  self->impl = new ClipTag(GST_ELEMENT(self), sink, src);
  cliptag::GlibRelease(self);
  gst_element_add_pad(GST_ELEMENT(self), sink);
  gst_element_add_pad(GST_ELEMENT(self), src);
}
