#include "plugin/elements/cliptag/input/upstream_direction.h"

#include <gst/video/video.h>

#include <memory>

namespace cliptag {
namespace {

// More elements than any pipeline has in a row; no walk of pads goes on for ever.
constexpr int kMostPads = 256;

struct Unref {
  void operator()(gpointer object) const { gst_object_unref(object); }
};
template <typename T>
using Ref = std::unique_ptr<T, Unref>;

// GstVideoOrientationMethod names what videoflip does as the tag names what is to be done.
bool Does(int method, Orientation asked) {
  switch (method) {
    case GST_VIDEO_ORIENTATION_AUTO:
      return true;
    case GST_VIDEO_ORIENTATION_90R:
      return asked == Orientation::kRotate90;
    case GST_VIDEO_ORIENTATION_180:
      return asked == Orientation::kRotate180;
    case GST_VIDEO_ORIENTATION_90L:
      return asked == Orientation::kRotate270;
    case GST_VIDEO_ORIENTATION_HORIZ:
      return asked == Orientation::kFlipRotate0;
    case GST_VIDEO_ORIENTATION_UR_LL:
      return asked == Orientation::kFlipRotate90;
    case GST_VIDEO_ORIENTATION_VERT:
      return asked == Orientation::kFlipRotate180;
    case GST_VIDEO_ORIENTATION_UL_LR:
      return asked == Orientation::kFlipRotate270;
    default:
      return false;
  }
}

bool Turns(GstElement* element, Orientation asked) {
  GParamSpec* spec = g_object_class_find_property(G_OBJECT_GET_CLASS(element), "video-direction");
  if (spec == nullptr || spec->value_type != GST_TYPE_VIDEO_ORIENTATION_METHOD) return false;
  gint method = GST_VIDEO_ORIENTATION_IDENTITY;
  g_object_get(element, "video-direction", &method, nullptr);
  return Does(method, asked);
}

// Looks at the element at the other side of a sink pad, and on through its own sink pads.
bool Walk(GstPad* sink, Orientation asked, int* pads_left) {
  if (--*pads_left < 0) return false;
  const Ref<GstPad> source(gst_pad_get_peer(sink));
  if (!source) return false;
  // A proxy pad inside of a bin has a pad for parent: what lies behind it is walked to all the
  // same.
  const Ref<GstObject> parent(gst_object_get_parent(GST_OBJECT(source.get())));
  if (parent && GST_IS_ELEMENT(parent.get()) && Turns(GST_ELEMENT(parent.get()), asked))
    return true;
  GstIterator* links = gst_pad_iterate_internal_links(source.get());
  if (links == nullptr) return false;
  bool turned = false;
  GValue item = G_VALUE_INIT;
  while (!turned && gst_iterator_next(links, &item) == GST_ITERATOR_OK) {
    turned = Walk(GST_PAD(g_value_get_object(&item)), asked, pads_left);
    g_value_reset(&item);
  }
  if (G_IS_VALUE(&item)) g_value_unset(&item);
  gst_iterator_free(links);
  return turned;
}

}  // namespace

bool IsTurnedUpstream(GstPad* sink, Orientation asked) {
  int pads_left = kMostPads;
  return asked != Orientation::kRotate0 && Walk(sink, asked, &pads_left);
}

}  // namespace cliptag
