#include "plugin/cli/media/gif_end.h"

#include <string_view>

namespace cliptag {
namespace {

// Other demuxers read beyond the end now and then; a stuck one does nothing else.
constexpr int kReadsBeyondTheEnd = 64;

struct Reads {
  GstElement* demuxer;  // not owned: the probe, which owns this, is on one of its pads
  uint64_t file_bytes;
  int beyond = 0;
};

// Sent from the demuxer's own thread, as its own EOS would be.
void SendEnd(GstElement* demuxer) {
  gst_element_foreach_src_pad(
      demuxer,
      [](GstElement*, GstPad* pad, gpointer) -> gboolean {
        gst_pad_push_event(pad, gst_event_new_eos());
        return TRUE;
      },
      nullptr);
}

GstPadProbeReturn OnRead(GstPad*, GstPadProbeInfo* info, gpointer user) {
  auto* reads = static_cast<Reads*>(user);
  if (info->offset < reads->file_bytes) {
    reads->beyond = 0;
  } else if (++reads->beyond == kReadsBeyondTheEnd) {
    SendEnd(reads->demuxer);
  }
  return GST_PAD_PROBE_PASS;
}

void OnElement(GstBin*, GstElement* element, gpointer file_bytes) {
  GstElementFactory* factory = gst_element_get_factory(element);
  if (!factory || std::string_view(GST_OBJECT_NAME(factory)) != "avdemux_gif") return;
  GstPad* pad = gst_element_get_static_pad(element, "sink");
  if (!pad) return;
  // Only a blocking probe is called before the read.
  gst_pad_add_probe(
      pad, static_cast<GstPadProbeType>(GST_PAD_PROBE_TYPE_PULL | GST_PAD_PROBE_TYPE_BLOCK), OnRead,
      new Reads{element, *static_cast<const uint64_t*>(file_bytes)},
      [](gpointer reads) { delete static_cast<Reads*>(reads); });
  gst_object_unref(pad);
}

}  // namespace

void EndGifs(GstElement* decodebin, uint64_t file_bytes) {
  g_signal_connect_data(
      decodebin, "element-added", G_CALLBACK(OnElement), new uint64_t(file_bytes),
      [](gpointer bytes, GClosure*) { delete static_cast<uint64_t*>(bytes); },
      static_cast<GConnectFlags>(0));
}

}  // namespace cliptag
