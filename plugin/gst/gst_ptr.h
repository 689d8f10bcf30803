// GStreamer's reference-counted objects as std::unique_ptr.
#pragma once

#include <gst/gst.h>

#include <memory>

namespace cliptag {

struct BufferUnref {
  void operator()(GstBuffer* b) const { gst_buffer_unref(b); }
};
struct EventUnref {
  void operator()(GstEvent* e) const { gst_event_unref(e); }
};
using BufferPtr = std::unique_ptr<GstBuffer, BufferUnref>;
using EventPtr = std::unique_ptr<GstEvent, EventUnref>;

}  // namespace cliptag
