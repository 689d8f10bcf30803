// Runs `call` on a thread of GStreamer's, which holds a reference to the element meanwhile.
//
// For what may take long, and for messages from a thread that a stop waits for: an application may
// answer a message at once by stopping the element. An exception is logged.
//
// Thread safety: any thread, under any lock; returns at once.
#pragma once

#include <gst/gst.h>

#include <functional>

namespace cliptag {

void CallLater(GstElement* element, std::function<void()> call);

}  // namespace cliptag
