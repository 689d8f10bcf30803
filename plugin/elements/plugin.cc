// The plugin's entry point.
#include <gst/gst.h>

#include "plugin/elements/register.h"

static gboolean plugin_init(GstPlugin* plugin) { return cliptag::RegisterAll(plugin); }

#define PACKAGE "cliptag"
GST_PLUGIN_DEFINE(GST_VERSION_MAJOR, GST_VERSION_MINOR, cliptag,
                  "Tags video with CLIP, zero-shot, in real time", plugin_init, CLIPTAG_VERSION,
                  "Apache 2.0", "cliptag", "Unknown package origin")
