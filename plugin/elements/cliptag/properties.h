// The properties of `cliptag`: GObjectClass.set_property and get_property, and what installs them.
#pragma once

#include <gst/gst.h>

void gst_clip_tag_install_properties(GObjectClass* klass);
void gst_clip_tag_set_property(GObject* object, guint id, const GValue* value, GParamSpec* spec);
void gst_clip_tag_get_property(GObject* object, guint id, GValue* value, GParamSpec* spec);
