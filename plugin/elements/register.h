// Registers the elements, the meta and the log: what the plugin does when it is loaded.
#pragma once

#include <gst/gst.h>

namespace cliptag {

// `plugin` may be null, for elements that are linked into a program.
bool RegisterAll(GstPlugin* plugin);

// In register_overlay.cc, or in register_no_overlay.cc where Pango and Cairo were not found.
bool RegisterOverlay(GstPlugin* plugin);

}  // namespace cliptag
