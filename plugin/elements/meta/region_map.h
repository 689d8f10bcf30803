// How the regions of tags follow the frame through elements that scale, crop or rotate it.
//
// A meta that depends on the frame's size is transformed by videoscale and videoconvert (from
// GStreamer 1.28 on also by videocrop and videoflip) and dropped by other elements. Tags must not
// be lost, so there are two metas. GstCliptagMeta is copied to every new frame.
// GstCliptagPlaceMeta, which comes before it on the buffer, depends on the size: transformed, it
// tells the copy of GstCliptagMeta where the regions are now; dropped, it leaves their place
// unknown, and the regions are removed, so that none is ever wrong.
//
// Thread safety: pure functions, except RegisterMetas (once, when the plugin is loaded).
#pragma once

#include <gst/gst.h>

#include "kernels/frame.h"

namespace cliptag {

// From the pixel corners of one frame to those of the frame made from it: x' = xx x + xy y + x0,
// and likewise y'.
struct RegionMap {
  double xx = 1, xy = 0, x0 = 0;
  double yx = 0, yy = 1, y0 = 0;
  int width = 0, height = 0;  // of the new frame, to which regions are clipped; 0 = no clipping
};

// The region in the new frame; width 0 if no pixel of it is left.
Rect MapRegion(const RegionMap& map, const Rect& region);

void RegisterMetas();

// Called before GstCliptagMeta with regions is added: its regions are pixels of this buffer.
void MarkPlace(GstBuffer* buffer);

// In region_matrix_*.cc. The map of GStreamer 1.28's gst-video-matrix; false for any other `type`.
bool MapOfMatrix(GQuark type, gconstpointer data, RegionMap* map);

}  // namespace cliptag
