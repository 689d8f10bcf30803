// The error message for caps that cliptagkeyframes does not accept. GStreamer itself only reports
// "not-negotiated", from the element before.
#pragma once

#include <gst/gst.h>

#include <string>

namespace cliptag {

// Says what is wrong with caps that are not a subset of the element's, and what to do.
std::string WhyRefused(const GstCaps* caps);

}  // namespace cliptag
