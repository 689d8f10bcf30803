// How the regions of tags follow the picture through elements that scale, crop or turn it.
//
// GStreamer hands a meta only to the elements that can say what they do to it: one that depends on
// the size of the picture is transformed by videoscale and videoconvert (from GStreamer 1.28 on by
// videocrop and videoflip, too) and lost anywhere else. Tags must not be lost, so two metas share
// the work. GstCliptagMeta is copied to whatever a frame becomes. GstCliptagPlaceMeta, which lies
// before it on the buffer, depends on the size; what becomes of it tells the copy of GstCliptagMeta
// where the regions are now, or, if it is gone, that nobody knows: then they are left out, so that
// no region is ever of another picture.
//
// Thread safety: pure functions, except RegisterMetas (once, when the plugin is loaded).
#pragma once

#include <gst/gst.h>

#include "kernels/frame.h"

namespace cliptag {

// From pixels of one frame to those of the frame that it became: x' = xx x + xy y + x0, and y' so,
// of the corners of pixels.
struct RegionMap {
  double xx = 1, xy = 0, x0 = 0;
  double yx = 0, yy = 1, y0 = 0;
  int width = 0, height = 0;  // of the new frame, which cuts regions off; 0 = as large as it takes
};

// Where a region lies now; of width 0 if no pixel of it is left.
Rect MapRegion(const RegionMap& map, const Rect& region);

void RegisterMetas();

// Before GstCliptagMeta is added with regions: marks them as pixels of this very buffer.
void MarkPlace(GstBuffer* buffer);

// In region_matrix_*.cc. The map of GStreamer 1.28's gst-video-matrix; false for any other `type`.
bool MapOfMatrix(GQuark type, gconstpointer data, RegionMap* map);

}  // namespace cliptag
