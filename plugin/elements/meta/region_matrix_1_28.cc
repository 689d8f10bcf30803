// From GStreamer 1.28 on, elements describe how they transform a frame by a matrix.
#include <gst/video/video.h>

#include "plugin/elements/meta/region_map.h"

namespace cliptag {
namespace {

// The matrix maps the first corners of pixels: on a flipped axis that corner becomes the far one.
double Turned(gfloat a, gfloat b) { return (a < 0 ? 1 : 0) + (b < 0 ? 1 : 0); }

}  // namespace

bool MapOfMatrix(GQuark type, gconstpointer data, RegionMap* map) {
  if (type != gst_video_meta_transform_matrix_get_quark()) return false;
  const auto& change = *static_cast<const GstVideoMetaTransformMatrix*>(data);
  const auto& m = change.matrix;
  if (m[2][0] != 0 || m[2][1] != 0 || m[2][2] == 0) return false;  // not affine
  const double w = m[2][2];
  map->xx = m[0][0] / w;
  map->xy = m[0][1] / w;
  map->yx = m[1][0] / w;
  map->yy = m[1][1] / w;
  const double left = change.in_rectangle.x, top = change.in_rectangle.y;
  map->x0 = m[0][2] / w + Turned(m[0][0], m[0][1]) - map->xx * left - map->xy * top +
            change.out_rectangle.x;
  map->y0 = m[1][2] / w + Turned(m[1][0], m[1][1]) - map->yx * left - map->yy * top +
            change.out_rectangle.y;
  map->width = GST_VIDEO_INFO_WIDTH(change.out_info);
  map->height = GST_VIDEO_INFO_HEIGHT(change.out_info);
  return true;
}

}  // namespace cliptag
