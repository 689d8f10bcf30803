// What to say to caps that cliptagkeyframes does not take. GStreamer itself says no more than
// "not-negotiated", and that in the name of the element before.
#pragma once

#include <gst/gst.h>

#include <string>

namespace cliptag {

// A sentence on what is wrong with caps that are not a subset of the element's, and what to do.
std::string WhyRefused(const GstCaps* caps);

}  // namespace cliptag
